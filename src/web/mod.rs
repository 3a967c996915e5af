//! Adapters for web frameworks, each behind a feature.
