//! Aggregates of a query: metrics over the rows that pass, all together or by groups of values.
//!
//! Rows are found by key first; then their columns are read a part at a time, so that however many
//! rows there are, few columns of few of them are in memory. Null is a value of groups and nothing
//! to metrics.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::ArrayRef;
use milvus_types::{CollectionSchema, DataType, Failure, FieldSchema, Result, Value};

use crate::Proxy;
use crate::api::OutputColumn;
use crate::cell::{Cell, Key};
use crate::fetch::Place;
use crate::metric::{Metric, Op, value_of};
use crate::order_by::{OrderBy, Sorter};
use crate::output_fields::{Aggregate, Output, aggregate};
use crate::typed_column::typed_column;

/// Rows whose columns are in memory at a time.
const PART: usize = 65_536;
/// `common.groupBy.maxGroups`.
const MAX_GROUPS: usize = 100_000;

/// What is computed of the rows that pass.
#[derive(Clone, Debug)]
pub(crate) struct Aggregation {
    /// The fields whose values make groups; none for one group of all rows.
    pub(crate) group_by: Vec<FieldSchema>,
    pub(crate) aggregates: Vec<Aggregate>,
    /// The columns to return, in the order asked for.
    outputs: Vec<OutputOf>,
}

#[derive(Clone, Debug)]
enum OutputOf {
    /// Number so many of the fields that make groups.
    Group(usize),
    /// Number so many of the aggregates.
    Metric(usize),
}

impl Aggregation {
    /// What the output fields and groups of a query compute; `None` if they only name columns.
    pub(crate) fn new(
        asked: &[String],
        group_by: &[&str],
        output: &Output,
        schema: &CollectionSchema,
    ) -> Result<Option<Self>> {
        let fields: Vec<FieldSchema> =
            group_by.iter().map(|name| group_field(name, schema)).collect::<Result<_>>()?;
        if fields.is_empty() && output.aggregates.is_empty() {
            return Ok(None);
        }
        let mut seen = 0;
        let output_of = |name: &String| {
            let name = name.trim();
            if let Some(at) = group_by.iter().position(|group| *group == name) {
                return Ok(OutputOf::Group(at));
            }
            if aggregate(name).is_some() {
                seen += 1;
                return Ok(OutputOf::Metric(seen - 1));
            }
            Err(Failure::parameter_invalid(if group_by.is_empty() {
                format!(
                    "output field '{name}' is not allowed: when using aggregation functions \
                     (e.g., count(*)), output_fields can only contain aggregation expressions, \
                     not regular columns"
                )
            } else {
                format!(
                    "output field '{name}' is not allowed: when using GROUP BY, output_fields can \
                     only contain group_by fields ([{}]) or aggregation expressions",
                    group_by.join(" ")
                )
            }))
        };
        let outputs = asked.iter().map(output_of).collect::<Result<_>>()?;
        let aggregates = output.aggregates.clone();
        Ok(Some(Self { group_by: fields, aggregates, outputs }))
    }

    /// Whether it is nothing but the number of rows.
    pub(crate) fn only_counts(&self) -> bool {
        self.group_by.is_empty() && self.aggregates.iter().all(|one| one.field.is_none())
    }

    /// Whether rows are counted, whatever they hold.
    pub(crate) fn counts_rows(&self) -> bool {
        self.aggregates.iter().any(|one| one.field.is_none())
    }

    /// The columns that rows are read with.
    pub(crate) fn columns(&self) -> Vec<FieldSchema> {
        let mut columns = self.group_by.clone();
        for field in self.aggregates.iter().filter_map(|one| one.field.as_ref()) {
            // Whether a vector is null costs as much to know as the vector.
            if !columns.iter().any(|known| known.id == field.id) {
                columns.push(field.clone());
            }
        }
        columns
    }

    /// The columns of the answer.
    fn answer(&self, groups: Vec<Group>) -> Vec<OutputColumn> {
        let column = |output: &OutputOf| match output {
            OutputOf::Group(at) => {
                let field = self.group_by[*at].clone();
                let values: Vec<_> =
                    groups.iter().map(|group| value_of(group.key[*at].cell())).collect();
                OutputColumn { values: typed_column(field.data_type, &values), field }
            }
            OutputOf::Metric(at) => {
                let aggregate = &self.aggregates[*at];
                let values: Vec<Option<Value>> =
                    groups.iter().map(|group| group.metrics[*at].result()).collect();
                metric_column(aggregate, &values)
            }
        };
        self.outputs.iter().map(column).collect()
    }
}

fn metric_column(aggregate: &Aggregate, values: &[Option<Value>]) -> OutputColumn {
    let of = aggregate.field.as_ref().map_or(DataType::Int64, |field| field.data_type);
    let data_type = aggregate.op.result(of);
    let field = FieldSchema { name: aggregate.name.clone(), data_type, ..FieldSchema::default() };
    OutputColumn { values: typed_column(data_type, values), field }
}

/// The one row of counts of a query that computes nothing else.
pub(crate) fn counted(aggregation: &Aggregation, count: u64) -> Vec<OutputColumn> {
    let count = Some(Value::Int64(i64::try_from(count).unwrap_or(i64::MAX)));
    let column = |one: &Aggregate| metric_column(one, std::slice::from_ref(&count));
    aggregation.aggregates.iter().map(column).collect()
}

fn group_field(name: &str, schema: &CollectionSchema) -> Result<FieldSchema> {
    let Some(field) = schema.field(name) else {
        return Err(Failure::parameter_invalid(format!("field {name} not exist")));
    };
    let groups = field.data_type.is_integer()
        || matches!(field.data_type, DataType::VarChar | DataType::Timestamptz | DataType::Bool);
    if groups {
        return Ok(field.clone());
    }
    Err(Failure::parameter_invalid(format!(
        "group by field {name} has unsupported data type {}",
        field.data_type
    )))
}

/// One group under way.
struct Group {
    key: Vec<Key>,
    metrics: Vec<Metric>,
}

/// All groups under way, in the order they were met in.
struct Groups {
    aggregation: Aggregation,
    places: HashMap<Vec<Key>, usize>,
    groups: Vec<Group>,
}

impl Groups {
    fn new(aggregation: Aggregation) -> Self {
        let mut groups = Self { places: HashMap::new(), groups: Vec::new(), aggregation };
        if groups.aggregation.group_by.is_empty() {
            groups.place(Vec::new());
        }
        groups
    }

    fn place(&mut self, key: Vec<Key>) -> usize {
        match self.places.entry(key) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let metrics = self.aggregation.aggregates.iter();
                let metrics = metrics.map(|one| Metric::new(one.op)).collect();
                self.groups.push(Group { key: entry.key().clone(), metrics });
                *entry.insert(self.groups.len() - 1)
            }
        }
    }

    /// Takes in `rows` rows of these columns.
    fn add(&mut self, rows: usize, fields: &[FieldSchema], columns: &[ArrayRef]) -> Result<()> {
        let of = |field: &FieldSchema| {
            let at = fields.iter().position(|known| known.id == field.id);
            at.and_then(|at| columns.get(at)).cloned()
        };
        let keys: Vec<Option<ArrayRef>> = self.aggregation.group_by.iter().map(of).collect();
        let inputs: Vec<Option<Option<ArrayRef>>> =
            self.aggregation.aggregates.iter().map(|one| one.field.as_ref().map(of)).collect();
        for row in 0..rows {
            let cell = |column: &'_ Option<ArrayRef>| match column {
                Some(column) => Key::of(Cell::of(&**column, row)),
                None => Key::Null,
            };
            let at = self.place(keys.iter().map(cell).collect());
            if self.groups.len() > MAX_GROUPS {
                return Err(Failure::parameter_invalid(format!(
                    "the number of groups exceeds the limit {MAX_GROUPS}"
                )));
            }
            for (metric, input) in self.groups[at].metrics.iter_mut().zip(&inputs) {
                match input {
                    None => metric.add_row(),
                    Some(Some(column)) if metric_counts(metric) => {
                        if column.is_valid(row) {
                            metric.add_row();
                        }
                    }
                    Some(Some(column)) => metric.add(Cell::of(&**column, row)),
                    Some(None) => {}
                }
            }
        }
        Ok(())
    }
}

/// A count looks at whether there is a value, of any type.
fn metric_counts(metric: &Metric) -> bool {
    metric.op() == Op::Count
}

impl Proxy {
    /// Computes `aggregation` over the rows at `places`, orders its groups and cuts the page out.
    pub(crate) async fn aggregated(
        &self,
        collection: &milvus_types::Collection,
        aggregation: &Aggregation,
        places: &[Place],
        order_by: &[OrderBy],
        page: (usize, Option<usize>),
    ) -> Result<Vec<OutputColumn>> {
        let fields = aggregation.columns();
        let wanted: Vec<&FieldSchema> = fields.iter().collect();
        let mut groups = Groups::new(aggregation.clone());
        for part in places.chunks(PART) {
            let columns = self.fetch(collection, &wanted, part).await?;
            let (rows, fields) = (part.len(), fields.clone());
            let bytes = columns.iter().map(|column| column.get_array_memory_size()).sum();
            groups = self
                .compute(milvus_base::Priority::Search, bytes, move || {
                    groups.add(rows, &fields, &columns)?;
                    Ok(groups)
                })
                .await?;
        }
        let mut groups = groups.groups;
        if !order_by.is_empty() {
            let column = |by: &OrderBy| {
                let at = aggregation.group_by.iter().position(|field| field.id == by.field.id);
                let cell = |group: &Group| at.and_then(|at| value_of(group.key.get(at)?.cell()));
                let values: Vec<_> = groups.iter().map(cell).collect();
                typed_column(by.field.data_type, &values)
            };
            let columns: Vec<_> = order_by.iter().map(column).collect();
            let sorter = Sorter::new(order_by, &columns);
            let mut numbered: Vec<(usize, Group)> = groups.into_iter().enumerate().collect();
            numbered.sort_by(|(a, _), (b, _)| sorter.compare(*a, *b));
            groups = numbered.into_iter().map(|(_, group)| group).collect();
        }
        let (offset, limit) = page;
        let groups = groups.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX));
        Ok(aggregation.answer(groups.collect()))
    }
}

/// With groups or aggregates, rows can be ordered by the fields that make groups only.
pub(crate) fn check_order(order_by: &str, group_by: &[&str], aggregates: bool) -> Result<()> {
    if group_by.is_empty() && !aggregates {
        return Ok(());
    }
    for entry in crate::order_by::list(order_by) {
        let name = entry.split(':').next().unwrap_or_default().trim().to_lowercase();
        if aggregate(&name).is_some() {
            return Err(Failure::parameter_invalid(format!(
                "ORDER BY on aggregate expression '{name}' is not yet supported"
            )));
        }
        if !group_by.iter().any(|group| group.to_lowercase() == name) {
            return Err(Failure::parameter_invalid(format!(
                "ORDER BY field '{name}' is not valid: when using GROUP BY or aggregates, ORDER BY \
                 can only reference GROUP BY columns. Valid targets are: [{}]",
                group_by.join(" ")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array as _, AsArray as _, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::{Float64Type, Int64Type};
    use milvus_types::FieldId;

    use super::*;
    use crate::output_fields;

    fn schema() -> CollectionSchema {
        let field = |id, name: &str, data_type| FieldSchema {
            id: FieldId(id),
            name: name.to_owned(),
            data_type,
            ..FieldSchema::default()
        };
        let fields = vec![
            field(100, "brand", DataType::VarChar),
            field(101, "n", DataType::Int64),
            field(102, "price", DataType::Double),
            field(103, "v", DataType::FloatVector),
        ];
        CollectionSchema { fields, ..CollectionSchema::default() }
    }

    fn plan(asked: &[&str], group_by: &[&str]) -> Result<Option<Aggregation>> {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        let output = output_fields::parse(&asked, &schema(), false)?;
        Aggregation::new(&asked, group_by, &output, &schema())
    }

    #[test]
    fn groups_and_metrics_agree_with_a_plain_model() {
        let asked = ["count(*)", "brand", "sum(n)", "count(n)", "avg(price)", "MIN(n)"];
        let aggregation = plan(&asked, &["brand"]).unwrap().unwrap();
        let brands = ["x", "y", ""];
        let brand = |i: usize| Some(brands[i % 3]).filter(|brand| !brand.is_empty());
        let n = |i: usize| (!i.is_multiple_of(4)).then_some((i as i64 * 31) % 17 - 8);
        let price = |i: usize| (i % 10) as f64 / 4.0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter((0..60).map(brand))),
            Arc::new(Int64Array::from_iter((0..60).map(n))),
            Arc::new(Float64Array::from_iter_values((0..60).map(price))),
        ];
        let fields = aggregation.columns();
        let mut groups = Groups::new(aggregation.clone());
        groups.add(60, &fields, &columns).unwrap();
        let answer = aggregation.answer(groups.groups);
        assert_eq!(answer.len(), 6);
        let names = answer[1].values.as_string::<i32>();
        for (row, name) in names.iter().enumerate() {
            let rows: Vec<usize> = (0..60).filter(|i| brand(*i) == name).collect();
            let ints = |at: usize| answer[at].values.as_primitive::<Int64Type>().value(row);
            let values: Vec<i64> = rows.iter().filter_map(|i| n(*i)).collect();
            assert_eq!(ints(0), rows.len() as i64);
            assert_eq!(ints(2), values.iter().sum::<i64>());
            assert_eq!(ints(3), values.len() as i64);
            assert_eq!(Some(ints(5)), values.iter().min().copied());
            let avg = rows.iter().map(|i| price(*i)).sum::<f64>() / rows.len() as f64;
            assert_eq!(answer[4].values.as_primitive::<Float64Type>().value(row), avg);
        }
        assert_eq!((names.len(), answer[4].field.data_type), (3, DataType::Double));
    }

    #[test]
    fn no_rows_are_one_count_of_zero_or_no_groups() {
        let of = |group_by: &[&str]| {
            let aggregation = plan(&["count(n)", "sum(n)"], group_by).unwrap().unwrap();
            aggregation.answer(Groups::new(aggregation.clone()).groups)
        };
        let whole = of(&[]);
        assert_eq!(whole[0].values.as_primitive::<Int64Type>().value(0), 0);
        assert!(whole[1].values.is_null(0));
        assert_eq!(of(&["brand"])[0].values.len(), 0);
    }

    #[test]
    fn what_cannot_be_computed_is_refused_with_milvus_texts() {
        for (asked, group_by, reason) in [
            (
                &["brand", "count(*)"][..],
                &[][..],
                "output field 'brand' is not allowed: when using aggregation",
            ),
            (&["n"], &["brand"], "output field 'n' is not allowed: when using GROUP BY"),
            (&["count(*)"], &["price"], "group by field price has unsupported data type Double"),
            (&["count(*)"], &["v"], "group by field v has unsupported data type FloatVector"),
            (&["count(*)"], &["nope"], "field nope not exist"),
        ] {
            let error = plan(asked, group_by).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
        let error = check_order("n:asc", &["brand"], true).unwrap_err();
        assert!(error.reason.contains("ORDER BY can only reference GROUP BY columns"), "{error}");
        assert!(check_order("Brand:desc", &["brand"], true).is_ok());
    }
}
