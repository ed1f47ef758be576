//! The front door: validate, plan, route, merge.
