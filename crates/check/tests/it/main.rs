//! A check of real data directories, whole and damaged in every way, and their repair.

mod catalogue;
mod damage;
mod fixture;
mod log;
mod planted;
mod repair;
mod whole;
