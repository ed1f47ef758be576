//! Texts and what becomes of them, in `tests/data`; `UPDATE_EXPECT=1` rewrites the answers.
//!
//! A case is a text, a line `----` and the answer; blank lines part cases, `#` begins a comment.

use std::fmt::Write;
use std::path::Path;

use milvus_expr::{PlanError, Templates, parse, parse_output_field, plan};
use milvus_types::CollectionSchema;

use crate::schema::{dynamic_schema, schema, templates};

fn check(file: &str, answer: impl Fn(&str) -> String) {
    let path = Path::new("tests/data").join(file);
    let want = std::fs::read_to_string(&path).unwrap();
    let mut got = String::new();
    for block in want.trim_end().split("\n\n") {
        if !got.is_empty() {
            got.push('\n');
        }
        let mut text = None;
        for line in block.lines() {
            if line == "----" {
                break;
            }
            writeln!(got, "{line}").unwrap();
            if !line.starts_with('#') {
                text = Some(line);
            }
        }
        if let Some(text) = text {
            writeln!(got, "----\n{}", answer(text)).unwrap();
        }
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, got).unwrap();
    } else {
        assert_eq!(got, want, "{file}; UPDATE_EXPECT=1 rewrites it");
    }
}

fn shown(text: &str, schema: &CollectionSchema, templates: &Templates) -> String {
    match plan(text, schema, templates) {
        Ok(plan) => plan.to_string(),
        Err(error @ PlanError::NotSupported(_)) => error.to_string(),
        Err(error) => format!("error: {}", error.message(text)),
    }
}

#[test]
fn syntax_trees_show_how_operators_bind() {
    check("syntax.test", |text| match parse(text) {
        Ok(tree) => tree,
        Err(error) => format!("error: {error}"),
    });
}

#[test]
fn plans_are_typed() {
    check("plan.test", |text| shown(text, &schema(), &templates()));
}

#[test]
fn plans_over_dynamic_fields() {
    check("dynamic.test", |text| shown(text, &dynamic_schema(), &templates()));
}

#[test]
fn refusals_are_in_milvus_words() {
    check("messages.test", |text| shown(text, &schema(), &templates()));
}

#[test]
fn output_fields_are_fields_or_dynamic_keys() {
    check("output_field.test", |text| match parse_output_field(text, &dynamic_schema()) {
        Ok(field) => format!("{field:?}"),
        Err(error) => format!("error: {error}"),
    });
}
