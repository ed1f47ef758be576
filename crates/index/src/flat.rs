//! FLAT: no structure at all, every search compares with every live row.
//!
//! Keeps the inverse norms of the rows where the metric is COSINE, nothing otherwise.

use std::io;

use milvus_kernel::Bitset;
use milvus_types::{DataType, MetricType};

use crate::brute::{range_into, search_into};
use crate::compare::{Comparer, inverse_norms, query_of};
use crate::container::{self, Container, Header, Tag};
use crate::error::OpenError;
use crate::index_type::IndexType;
use crate::params::{Build, SearchParams};
use crate::range::Range;
use crate::registry::comparison_params;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::{VectorData, VectorRef};

const NORMS: Tag = *b"invnorms";

pub(crate) struct Flat {
    index_type: IndexType,
    metric: Metric,
    vectors: VectorData,
    inverse_norms: Section<f32>,
}

impl Flat {
    pub(crate) fn build(build: &Build, metric: Metric, vectors: VectorData) -> Self {
        let norms = inverse_norms(metric, &vectors);
        Self { index_type: build.index_type, metric, vectors, inverse_norms: norms.into() }
    }

    pub(crate) fn open(
        index_type: IndexType,
        metric: Metric,
        container: &Container,
        vectors: VectorData,
    ) -> Result<Self, OpenError> {
        let norms = if metric == Metric::Cosine { vectors.rows() } else { 0 };
        let inverse_norms = container.section(NORMS, norms)?;
        Ok(Self { index_type, metric, vectors, inverse_norms })
    }

    fn comparer<'a>(&'a self, query: VectorRef<'a>) -> Comparer<'a> {
        let norms = self.inverse_norms.as_slice();
        query_of(Comparer::new(self.metric, query, self.vectors.view(), norms))
    }
}

impl VectorIndex for Flat {
    fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        _params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        search_into(&self.comparer(query), self.rows(), live, k, out);
    }

    fn range_search(
        &self,
        query: VectorRef<'_>,
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        range_into(&self.comparer(query), self.rows(), live, range, limit, out);
    }

    fn rows(&self) -> usize {
        self.vectors.rows()
    }

    fn data_type(&self) -> DataType {
        self.vectors.data_type()
    }

    fn dim(&self) -> usize {
        self.vectors.dim()
    }

    fn metric(&self) -> MetricType {
        self.metric.metric_type()
    }

    fn index_type(&self) -> IndexType {
        self.index_type
    }

    fn memory_bytes(&self) -> u64 {
        self.inverse_norms.bytes()
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let header = Header {
            index_type: self.index_type.name().to_owned(),
            metric: self.metric(),
            dim: self.dim(),
            rows: self.rows(),
            params: comparison_params(self.metric),
        };
        container::write(out, &header, &[(NORMS, self.inverse_norms.as_bytes())])
    }
}
