//! The search parameters of each index type: what is turned up until a recall is reached.

use milvus_index::{Depth, IndexType, SearchParams, check_search_params};
use milvus_types::KeyValue;
use serde_json::{Map, Value, json};

use crate::Outcome;

/// The parameters that a type is searched with.
pub(crate) struct Knobs {
    /// The whole number that costs time and brings recall, such as `ef`; none of exact types.
    pub(crate) main: Option<&'static str>,
    /// The least that makes sense.
    pub(crate) least: usize,
    /// The most.
    pub(crate) most: usize,
    /// A second parameter and the values that are tried for it.
    pub(crate) second: Option<(&'static str, Vec<usize>)>,
}

/// The knobs of `index_type` for searches of `k` rows.
pub(crate) fn knobs(index_type: IndexType, k: usize) -> Knobs {
    let refine = || vec![1, 2, 3, 4, 6, 8, 12, 16, 32];
    let none = Knobs { main: None, least: 1, most: 1, second: None };
    match index_type.name() {
        "HNSW" | "AUTOINDEX" => Knobs { main: Some("ef"), least: k, most: 4096, ..none },
        "HNSW_SQ" | "HNSW_PQ" | "HNSW_PRQ" => {
            Knobs { main: Some("ef"), least: k, most: 4096, second: Some(("refine_k", refine())) }
        }
        "DISKANN" => Knobs { main: Some("search_list"), least: k, most: 4096, ..none },
        "IVF_FLAT" | "BIN_IVF_FLAT" => Knobs { main: Some("nprobe"), most: 4096, ..none },
        "IVF_SQ8" | "IVF_PQ" | "IVF_RABITQ" => {
            Knobs { main: Some("nprobe"), most: 4096, second: Some(("refine_k", refine())), ..none }
        }
        "SCANN" => {
            let reordered = refine().into_iter().map(|times| times * k).collect();
            Knobs {
                main: Some("nprobe"),
                most: 4096,
                second: Some(("reorder_k", reordered)),
                ..none
            }
        }
        "ANNOY" => Knobs { main: Some("search_k"), least: k, most: 1 << 20, ..none },
        _ => none,
    }
}

impl Knobs {
    /// The parameters at `main` and `second`.
    pub(crate) fn setting(&self, main: usize, second: Option<usize>) -> Value {
        let mut setting = Map::new();
        if let Some(name) = self.main {
            setting.insert(name.to_owned(), json!(main));
        }
        if let (Some((name, _)), Some(value)) = (&self.second, second) {
            setting.insert((*name).to_owned(), json!(value));
        }
        Value::Object(setting)
    }

    /// As JSON, for a driver that turns them.
    pub(crate) fn describe(&self) -> Value {
        let (second, values) = self.second.clone().unzip();
        json!({"main": self.main, "least": self.least, "most": self.most,
               "second": second, "values": values})
    }
}

/// The parameters of a search as the library takes them; texts and ranges are Milvus's.
pub(crate) fn search_params(
    index_type: IndexType,
    k: usize,
    setting: &Value,
) -> Outcome<SearchParams> {
    let pairs = setting.as_object().into_iter().flatten();
    let pairs: Vec<KeyValue> =
        pairs.map(|(key, value)| KeyValue::new(key.as_str(), value.to_string())).collect();
    Ok(check_search_params(index_type, Depth::AtOnce(k), &pairs)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_takes_the_settings_of_its_knobs() {
        for &index_type in IndexType::ALL {
            let knobs = knobs(index_type, 10);
            let second = knobs.second.as_ref().map(|(_, values)| values[1]);
            let setting = knobs.setting(knobs.least, second);
            search_params(index_type, 10, &setting).unwrap();
        }
    }
}
