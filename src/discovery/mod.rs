//! chitchat: who exists, where, with which metadata.
