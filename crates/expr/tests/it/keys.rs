//! What a plan says of itself: primary keys, fields, constancy.

use milvus_expr::{Identifier, Templates, parse_identifier, plan};
use milvus_types::{FieldId, PrimaryKey};

use crate::schema::{dynamic_schema, schema, templates};

fn keys(text: &str) -> Option<Vec<i64>> {
    let keys = plan(text, &schema(), &templates()).unwrap().primary_keys()?;
    let int = |key| match key {
        PrimaryKey::Int64(key) => key,
        PrimaryKey::VarChar(_) => unreachable!("the key is Int64"),
    };
    Some(keys.iter().map(int).collect())
}

#[test]
fn whole_plans_on_the_primary_key_give_its_values() {
    assert_eq!(keys("id == 7"), Some(vec![7]));
    assert_eq!(keys("7 == id"), Some(vec![7]));
    assert_eq!(keys("id in [3, 1, 3]"), Some(vec![3, 1]));
    assert_eq!(keys("id in {ints}"), Some(vec![1, 2]));
    assert_eq!(keys("id in []"), Some(vec![]));
    assert_eq!(keys("id == 1 or id == 2"), Some(vec![1, 2]));
    assert_eq!(keys("true and id == 1"), Some(vec![1]));
    assert_eq!(keys("id > 7"), None);
    assert_eq!(keys("id not in [1]"), None);
    assert_eq!(keys("id in [1] and i8 == 1"), None);
    assert_eq!(keys("i64 in [1]"), None);
}

#[test]
fn fields_are_listed_once_and_dynamic_keys_are_the_dynamic_field() {
    let fields =
        |text: &str| plan(text, &dynamic_schema(), &Templates::new()).unwrap().fields().to_vec();
    assert_eq!(fields("i8 > 1 and (i8 < 5 or color == 'red')"), [FieldId(102), FieldId(118)]);
    assert_eq!(fields("i8 < i16 and json['a'] is null"), [102, 103, 109].map(FieldId));
    assert_eq!(fields(""), []);
}

#[test]
fn constants_fold() {
    let always = |text: &str| {
        let plan = plan(text, &schema(), &Templates::new()).unwrap();
        (plan.always_true(), plan.always_false())
    };
    assert_eq!(always(""), (true, false));
    assert_eq!(always(" \t\n"), (true, false));
    assert_eq!(always("TRUE"), (true, false));
    assert_eq!(always("1 < 2 and not false"), (true, false));
    assert_eq!(always("i8 > 1 or true"), (true, false));
    assert_eq!(always("i8 > 1 and 2 == 3"), (false, true));
    assert_eq!(always("i8 > 1"), (false, false));
}

#[test]
fn identifiers_resolve_to_fields_and_paths() {
    let resolve = |text: &str| parse_identifier(text, &dynamic_schema());
    let path = |field, path: &[&str]| Identifier {
        field: FieldId(field),
        path: path.iter().map(|step| (*step).to_owned()).collect(),
    };
    assert_eq!(resolve("i8"), Ok(path(102, &[])));
    assert_eq!(resolve("json['a'][\"b]\"][0]"), Ok(path(109, &["a", "b]", "0"])));
    assert_eq!(resolve("color"), Ok(path(118, &["color"])));
    assert_eq!(resolve("color['x']"), Ok(path(118, &["color", "x"])));
    let error = resolve("/").unwrap_err().to_string();
    assert!(
        error.starts_with("cannot parse identifier: /: line 1:0 mismatched input '/'"),
        "{error}"
    );
}
