//! Arbitrary and hostile texts: answered, never panicked on.

use milvus_expr::{PlanError, SyntaxError, Templates, parse, parse_output_field, plan};
use proptest::prelude::*;

use crate::schema::{dynamic_schema, schema, templates};

/// Pieces that make texts which reach deep into the parser and the checker.
const PIECES: &[&str] = &[
    "id",
    "i8",
    "f32",
    "name",
    "json[\"a\"]",
    "json",
    "list[0]",
    "list",
    "flag",
    "$meta[\"k\"]",
    "$[score]",
    "clips[score]",
    "1",
    "0",
    "-",
    "+",
    "9223372036854775808",
    "1.5",
    "'a%'",
    "\"\\u00e9\"",
    "true",
    "[",
    "]",
    "[]",
    "(",
    ")",
    ",",
    "{one}",
    "{ints}",
    "{none}",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "and",
    "or",
    "not",
    "in",
    "like",
    "=~",
    "!~",
    "exists",
    "is null",
    "is not null",
    "*",
    "/",
    "%",
    "**",
    "<<",
    "&",
    "|",
    "^",
    "~",
    "json_contains",
    "array_contains_all",
    "array_length",
    "text_match",
    "phrase_match",
    "random_sample",
    "element_filter",
    "match_least",
    "threshold",
    "=",
    "iso",
    "interval",
    "st_within",
    "st_dwithin",
    "f(",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = parse(&text);
        let _ = plan(&text, &dynamic_schema(), &templates());
        let _ = parse_output_field(&text, &dynamic_schema());
    }

    #[test]
    fn any_sequence_of_tokens_is_answered(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14),
    ) {
        let text = pieces.join(" ");
        if let Err(error) = plan(&text, &schema(), &templates()) {
            prop_assert!(!error.message(&text).is_empty());
        }
    }
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    let deep = [
        format!("{}id == 1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{} flag", "not ".repeat(100_000)),
        format!("id == {}1", "-".repeat(100_000)),
        format!("id == 1{}", "+1".repeat(100_000)),
        format!("id in {}", "[".repeat(100_000)),
        format!("{}1", "exists ".repeat(100_000)),
        format!("id{}", " == 1".repeat(100_000)),
    ];
    for text in deep {
        assert!(
            matches!(
                plan(&text, &schema(), &Templates::new()),
                Err(PlanError::Syntax(SyntaxError::TooDeep { .. }))
            ),
            "{}",
            &text[..40]
        );
    }
}

#[test]
fn long_chains_are_not_deep() {
    let chain = |op: &str| (0..20_000).map(|i| format!("i64 != {i}")).collect::<Vec<_>>().join(op);
    let and = plan(&chain(" and "), &schema(), &Templates::new()).unwrap();
    let or = plan(&chain(" || "), &schema(), &Templates::new()).unwrap();
    assert_eq!(and.fields(), or.fields());
    let constants = format!("i64 > 1{}", " and true and i8 > 1".repeat(5_000));
    plan(&constants, &schema(), &Templates::new()).unwrap();
}
