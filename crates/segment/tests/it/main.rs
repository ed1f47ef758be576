//! Segments against a naive model: growing ones, and sealed ones made by writing a segment file and
//! opening it again, give the same answers.

mod growing;
mod model;
mod same_answers;
mod sealed;
