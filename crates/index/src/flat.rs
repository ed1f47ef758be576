//! FLAT: no structure at all, every search compares with every live row.
//!
//! Keeps the inverse norms of the rows where the metric is COSINE, nothing otherwise.

use std::io;

use milvus_kernel::{Bitset, TopK};
use milvus_types::MetricType;

use crate::brute::Scan;
use crate::container::{self, Container, Header, Tag};
use crate::error::OpenError;
use crate::index_type::IndexType;
use crate::params::{Build, SearchParams};
use crate::range::Range;
use crate::score::{Metric, Query, inverse_norms};
use crate::section::Section;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::Vectors;

const NORMS: Tag = *b"invnorms";

pub(crate) struct Flat {
    index_type: IndexType,
    metric: Metric,
    vectors: Vectors,
    inverse_norms: Section<f32>,
}

impl Flat {
    pub(crate) fn build(build: &Build, metric: Metric, vectors: Vectors) -> Self {
        let norms = match metric {
            Metric::Cosine => inverse_norms(vectors.as_slice(), vectors.dim()),
            Metric::L2 | Metric::Ip => Vec::new(),
        };
        Self { index_type: build.index_type, metric, vectors, inverse_norms: norms.into() }
    }

    pub(crate) fn open(
        index_type: IndexType,
        metric: Metric,
        container: &Container,
        vectors: Vectors,
    ) -> Result<Self, OpenError> {
        let inverse_norms = match metric {
            Metric::Cosine => container.section(NORMS, vectors.rows())?,
            Metric::L2 | Metric::Ip => Vec::new().into(),
        };
        Ok(Self { index_type, metric, vectors, inverse_norms })
    }

    fn scan(&self) -> Scan<'_> {
        Scan {
            block: self.vectors.as_slice(),
            dim: self.vectors.dim(),
            inverse_norms: self.inverse_norms.as_slice(),
        }
    }
}

impl VectorIndex for Flat {
    fn search(
        &self,
        query: &[f32],
        k: usize,
        _params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        assert_eq!(query.len(), self.dim(), "dimensions disagree");
        let query = Query::new(self.metric, query);
        let mut top = TopK::new(k.min(self.rows()));
        self.scan().run(&[query], live, &mut |_, scored| {
            top.push(scored);
        });
        out.clear();
        out.extend(top.into_sorted().into_iter().map(|scored| self.metric.hit(scored)));
    }

    fn range_search(
        &self,
        query: &[f32],
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        assert_eq!(query.len(), self.dim(), "dimensions disagree");
        self.scan().range(&Query::new(self.metric, query), live, range, limit, out);
    }

    fn rows(&self) -> usize {
        self.vectors.rows()
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
            params: Vec::new(),
        };
        container::write(out, &header, &[(NORMS, self.inverse_norms.as_bytes())])
    }
}
