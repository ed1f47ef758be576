//! Search: how far an index looks, and within which range of scores.

use milvus_types::index_meta::find;
use milvus_types::{KeyValue, MetricType};

use super::number::{I32_MAX, Searched};
use crate::error::IndexParamError;
use crate::index_type::IndexType;
use crate::range::Range;

/// The least `ef` of a search of AUTOINDEX that names none.
const AUTO_EF: usize = 64;
/// Milvus's default of `nprobe`.
const NPROBE: usize = 8;

/// The parameters of one search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchParams {
    /// `ef`: candidates a graph keeps while it walks, at least `k`.
    pub ef: usize,
    /// `nprobe`: lists that are looked through.
    pub nprobe: usize,
    /// `refine_k`, `reorder_k`: how many times `k` candidates get exact scores, at the least.
    pub refine_k: f32,
    /// `drop_ratio_search`: the share of a sparse query's smallest values that is left out.
    pub drop_ratio: f32,
    /// `mh_search_with_jaccard`: whether rows that share buckets are ranked by their equal hashes.
    pub with_jaccard: bool,
    /// `search_k`: rows that a forest looks at; 0 leaves it to the index.
    pub search_k: usize,
    /// `rbq_bits_query`: bits of a query's dimension beside codes of more than one bit; 0 is the most
    /// there are, 8.
    pub query_bits: u8,
    /// `beamwidth`: nodes of a graph on disk that are read before the next are chosen.
    pub beam_width: usize,
}

impl SearchParams {
    /// Milvus's defaults for a search of `k` rows.
    pub fn for_k(k: usize) -> Self {
        Self {
            ef: k.max(16),
            nprobe: NPROBE,
            refine_k: 1.0,
            drop_ratio: 0.0,
            with_jaccard: false,
            search_k: 0,
            query_bits: 0,
            beam_width: 1,
        }
    }
}

/// How far a search goes into an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// So many rows at once; to ask for fewer candidates is a mistake.
    AtOnce(usize),
    /// Row after row, until so many are within a range, in groups or behind a page's end.
    InSteps(usize),
}

/// Checks the parameters of a search. Values of `params` are JSON text: `64`,
/// `"64"`, `64.0`, `true`, `null`.
pub fn check_search_params(
    index_type: IndexType,
    depth: Depth,
    params: &[KeyValue],
) -> Result<SearchParams, IndexParamError> {
    let searched = Searched(params);
    let (Depth::AtOnce(k) | Depth::InSteps(k)) = depth;
    let least = if matches!(depth, Depth::AtOnce(_)) { k } else { 0 };
    let mut found = SearchParams::for_k(k);
    match index_type {
        IndexType::Flat | IndexType::BinFlat => {}
        IndexType::AutoIndex => {
            // AUTOINDEX promises good answers without tuning.
            let auto = found.ef.max(AUTO_EF.max(k + k / 2));
            found.ef = ef(searched, least, true)?.unwrap_or(auto);
        }
        IndexType::Hnsw => found.ef = ef(searched, least, true)?.unwrap_or(found.ef),
        IndexType::HnswSq => {
            found.ef = ef(searched, least, true)?.unwrap_or(found.ef);
            found.refine_k = refine_k(searched)?;
        }
        IndexType::HnswPq | IndexType::HnswPrq => {
            found.ef = ef(searched, least, false)?.unwrap_or(0).max(found.ef);
            found.refine_k = refine_k(searched)?;
        }
        IndexType::DiskAnn => {
            found.ef = search_list(searched, least)?.unwrap_or(found.ef);
            found.beam_width = beam_width(searched, "beamwidth")?;
        }
        IndexType::Aisaq => {
            found.ef = search_list(searched, least)?.unwrap_or(found.ef);
            let beam = beam_width(searched, "vectors_beamwidth")?;
            found.beam_width = beam.max(beam_width(searched, "beamwidth")?);
        }
        IndexType::IvfFlat | IndexType::BinIvfFlat => found.nprobe = nprobe(searched)?,
        IndexType::IvfSq8 | IndexType::IvfPq => {
            found.nprobe = nprobe(searched)?;
            found.refine_k = refine_k(searched)?;
        }
        IndexType::IvfRabitq | IndexType::IvfRabitqFastScan => {
            found.nprobe = nprobe(searched)?;
            // Register scans have tables of bytes, whatever is asked for.
            let most = if index_type == IndexType::IvfRabitq { 8 } else { 0 };
            let bits = searched.number("rbq_bits_query", 0, most)?.unwrap_or(0);
            found.query_bits = u8::try_from(bits).unwrap_or(0);
            found.refine_k = refine_k(searched)?;
        }
        IndexType::Scann => {
            found.nprobe = nprobe(searched)?;
            if let Some(reordered) = searched.number("reorder_k", 1, I32_MAX)? {
                at_least_k("reorder_k", reordered, least)?;
                found.refine_k = reordered as f32 / k.max(1) as f32;
            }
        }
        IndexType::Annoy => found.search_k = search_k(searched, least)?,
        IndexType::MinHashLsh => {
            found.with_jaccard = searched.boolean("mh_search_with_jaccard")?;
            searched.boolean("mh_lsh_batch_search")?;
            // Unlike elsewhere a number of candidates, not how many times k.
            let refined = searched.number("refine_k", 1, I32_MAX)?.unwrap_or(1);
            found.refine_k = refined as f32 / k.max(1) as f32;
        }
        IndexType::SparseInvertedIndex | IndexType::SparseWand => {
            found.drop_ratio =
                searched.float("drop_ratio_search", 0.0, 1.0, true)?.unwrap_or_default();
            searched.number("refine_factor", 1, I32_MAX)?;
            searched.float("dim_max_score_ratio", 0.5, 1.3, false)?;
        }
    }
    Ok(found)
}

fn ef(params: Searched<'_>, k: usize, checked: bool) -> Result<Option<usize>, IndexParamError> {
    let ef = params.number("ef", 1, I32_MAX)?;
    if let (Some(ef), true) = (ef, checked) {
        at_least_k("ef", ef, k)?;
    }
    Ok(ef)
}

fn search_list(params: Searched<'_>, k: usize) -> Result<Option<usize>, IndexParamError> {
    for key in ["search_list", "search_list_size"] {
        if let Some(size) = params.number(key, 1, I32_MAX)? {
            at_least_k("search_list_size", size, k)?;
            return Ok(Some(size));
        }
    }
    Ok(None)
}

fn beam_width(params: Searched<'_>, key: &str) -> Result<usize, IndexParamError> {
    params.number(key, 1, I32_MAX).map(|beam| beam.unwrap_or(1))
}

/// `search_k` of a forest; -1 and 0 leave it to the index.
fn search_k(params: Searched<'_>, k: usize) -> Result<usize, IndexParamError> {
    let given = params.whole("search_k", -1, I32_MAX)?.unwrap_or(-1);
    let Some(rows) = usize::try_from(given).ok().filter(|rows| *rows > 0) else {
        return Ok(0);
    };
    at_least_k("search_k", rows, k)?;
    Ok(rows)
}

fn nprobe(params: Searched<'_>) -> Result<usize, IndexParamError> {
    params.number("max_empty_result_buckets", 0, 65536)?;
    params.number("nprobe", 1, 65536).map(|nprobe| nprobe.unwrap_or(NPROBE))
}

fn refine_k(params: Searched<'_>) -> Result<f32, IndexParamError> {
    params.float("refine_k", 1.0, f32::MAX, false).map(|refine| refine.unwrap_or(1.0))
}

fn at_least_k(key: &str, number: usize, k: usize) -> Result<(), IndexParamError> {
    if number >= k {
        return Ok(());
    }
    Err(IndexParamError::Search(format!("{key}({number}) should be larger than k({k})")))
}

/// The range that the parameters of a search ask for: `radius`, and `range_filter` inside it.
/// `None` where there is no `radius`.
pub fn check_range_params(
    metric: MetricType,
    params: &[KeyValue],
) -> Result<Option<Range>, IndexParamError> {
    let radius = float("radius", params)?;
    let range_filter = float("range_filter", params)?;
    let Some(radius) = radius else {
        if range_filter.is_some() {
            let text = "range_filter is given without radius".to_owned();
            return Err(IndexParamError::Search(text));
        }
        return Ok(None);
    };
    if let Some(filter) = range_filter {
        let (wrong, word) = if metric.larger_is_better() {
            (filter <= radius, "greater")
        } else {
            (filter >= radius, "less")
        };
        if wrong {
            return Err(IndexParamError::Search(format!(
                "metric type ({metric}), range_filter({filter}) must be {word} than radius({radius})"
            )));
        }
    }
    Ok(Some(Range { radius, range_filter }))
}

/// A number given as JSON, or as a JSON string that holds one.
fn float(key: &str, params: &[KeyValue]) -> Result<Option<f32>, IndexParamError> {
    let Some(json) = find(params, key) else {
        return Ok(None);
    };
    let text = json.trim().trim_matches('"');
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(IndexParamError::Search(format!(
            "Type conflict in json: param '{key}' ({}) should be a number",
            json.trim()
        ))),
    }
}
