//! Metric types: how two vectors are compared, and which way is better.

use std::fmt;

/// How two vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricType {
    /// Squared Euclidean distance.
    L2,
    /// Inner product.
    Ip,
    /// Cosine similarity.
    Cosine,
    /// Differing bits.
    Hamming,
    /// 1 - |a ∩ b| / |a ∪ b| over bits.
    Jaccard,
    /// Jaccard estimated from MinHash signatures.
    MhJaccard,
    /// Binary substructure.
    Substructure,
    /// Binary superstructure.
    Superstructure,
    /// BM25 over sparse term vectors.
    Bm25,
    /// Late interaction, cosine.
    MaxSim,
    /// Late interaction, cosine (explicit name).
    MaxSimCosine,
    /// Late interaction, inner product.
    MaxSimIp,
    /// Late interaction, squared Euclidean.
    MaxSimL2,
    /// Late interaction, Hamming.
    MaxSimHamming,
    /// Late interaction, Jaccard.
    MaxSimJaccard,
}

impl MetricType {
    const ALL: [(Self, &'static str); 15] = [
        (Self::L2, "L2"),
        (Self::Ip, "IP"),
        (Self::Cosine, "COSINE"),
        (Self::Hamming, "HAMMING"),
        (Self::Jaccard, "JACCARD"),
        (Self::MhJaccard, "MHJACCARD"),
        (Self::Substructure, "SUBSTRUCTURE"),
        (Self::Superstructure, "SUPERSTRUCTURE"),
        (Self::Bm25, "BM25"),
        (Self::MaxSim, "MAX_SIM"),
        (Self::MaxSimCosine, "MAX_SIM_COSINE"),
        (Self::MaxSimIp, "MAX_SIM_IP"),
        (Self::MaxSimL2, "MAX_SIM_L2"),
        (Self::MaxSimHamming, "MAX_SIM_HAMMING"),
        (Self::MaxSimJaccard, "MAX_SIM_JACCARD"),
    ];

    /// The metric called `name`, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(m, _)| *m)
    }

    /// The upper-case name on the wire.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(m, _)| *m == self).map_or("", |(_, n)| n)
    }

    /// Whether a larger score is a better one.
    pub fn larger_is_better(self) -> bool {
        match self {
            Self::Ip
            | Self::Cosine
            | Self::Bm25
            | Self::MhJaccard
            | Self::MaxSim
            | Self::MaxSimCosine
            | Self::MaxSimIp => true,
            Self::L2
            | Self::Hamming
            | Self::Jaccard
            | Self::Substructure
            | Self::Superstructure
            | Self::MaxSimL2
            | Self::MaxSimHamming
            | Self::MaxSimJaccard => false,
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_parses_back_from_its_name() {
        for (metric, name) in MetricType::ALL {
            assert_eq!(MetricType::parse(name), Some(metric));
            assert_eq!(MetricType::parse(&name.to_lowercase()), Some(metric));
            assert_eq!(metric.name(), name);
        }
        assert_eq!(MetricType::parse("L3"), None);
    }
}
