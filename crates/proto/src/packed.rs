//! `FloatArray` and `DoubleArray`: repeated numbers kept as the bytes that were on the wire.
//!
//! Protobuf packs repeated numbers into one run of little-endian bytes, which is already the layout
//! that the engine computes on. These two messages keep that run, sharing the request's buffer
//! instead of parsing it number by number. A peer that sends numbers one by one, or the run in
//! pieces, is understood too, at the price of a copy: the wire format stays Milvus's exactly.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

macro_rules! packed_array {
    ($(#[$doc:meta])* $name:ident, $number:ty, $wire_type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            /// Little-endian numbers, one after the other; a whole number of them once decoded.
            pub data: Bytes,
        }

        impl $name {
            /// Bytes of one number.
            pub const WIDTH: usize = size_of::<$number>();

            /// An array of `numbers`.
            pub fn from_numbers(numbers: impl IntoIterator<Item = $number>) -> Self {
                let mut data = BytesMut::new();
                for number in numbers {
                    data.extend_from_slice(&number.to_le_bytes());
                }
                Self { data: data.freeze() }
            }

            /// How many numbers there are.
            pub fn len(&self) -> usize {
                self.data.len() / Self::WIDTH
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The numbers in order.
            pub fn numbers(&self) -> impl ExactSizeIterator<Item = $number> + '_ {
                self.data.chunks_exact(Self::WIDTH).map(|bytes| {
                    let mut number = [0; size_of::<$number>()];
                    number.copy_from_slice(bytes);
                    <$number>::from_le_bytes(number)
                })
            }

            fn append(&mut self, more: Bytes) {
                if self.data.is_empty() {
                    self.data = more;
                } else {
                    let mut data = BytesMut::from(std::mem::take(&mut self.data));
                    data.extend_from_slice(&more);
                    self.data = data.freeze();
                }
            }
        }

        impl Message for $name {
            fn encode_raw(&self, buf: &mut impl BufMut) {
                if !self.data.is_empty() {
                    encoding::bytes::encode(1, &self.data, buf);
                }
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: WireType,
                buf: &mut impl Buf,
                ctx: DecodeContext,
            ) -> Result<(), DecodeError> {
                match (tag, wire_type) {
                    (1, WireType::LengthDelimited) => {
                        let mut run = Bytes::new();
                        encoding::bytes::merge(wire_type, &mut run, buf, ctx)?;
                        if run.len() % Self::WIDTH != 0 {
                            return broken_run();
                        }
                        self.append(run);
                        Ok(())
                    }
                    (1, WireType::$wire_type) => {
                        if buf.remaining() < Self::WIDTH {
                            return broken_run();
                        }
                        let number = buf.copy_to_bytes(Self::WIDTH);
                        self.append(number);
                        Ok(())
                    }
                    (1, _) => encoding::check_wire_type(WireType::LengthDelimited, wire_type),
                    _ => encoding::skip_field(wire_type, tag, buf, ctx),
                }
            }

            fn encoded_len(&self) -> usize {
                if self.data.is_empty() { 0 } else { encoding::bytes::encoded_len(1, &self.data) }
            }

            fn clear(&mut self) {
                self.data.clear();
            }
        }
    };
}

packed_array!(
    /// `schema.FloatArray`.
    FloatArray, f32, ThirtyTwoBit
);
packed_array!(
    /// `schema.DoubleArray`.
    DoubleArray, f64, SixtyFourBit
);

/// Fails as `prost` does when a run ends inside a number.
fn broken_run() -> Result<(), DecodeError> {
    // `prost` lets nobody else make its errors: let it find an empty buffer.
    let (mut number, mut nothing) = (0_f64, Bytes::new());
    let width = WireType::SixtyFourBit;
    encoding::double::merge(width, &mut number, &mut nothing, DecodeContext::default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same message as `prost` alone would have it.
    #[derive(Clone, PartialEq, Message)]
    struct Plain {
        #[prost(float, repeated, tag = "1")]
        data: Vec<f32>,
    }

    /// The same message of a peer that does not pack.
    #[derive(Clone, PartialEq, Message)]
    struct Unpacked {
        #[prost(float, repeated, packed = "false", tag = "1")]
        data: Vec<f32>,
        #[prost(string, tag = "9")]
        later: String,
    }

    proptest! {
        #[test]
        fn packed_unpacked_and_split_runs_mean_the_same(
            first in proptest::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..40),
            second in proptest::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..40),
        ) {
            let all: Vec<u32> = first.iter().chain(&second).map(|f| f.to_bits()).collect();
            let bits = |array: &FloatArray| array.numbers().map(f32::to_bits).collect::<Vec<_>>();

            let packed = Plain { data: first.iter().chain(&second).copied().collect() };
            let ours = FloatArray::decode(Bytes::from(packed.encode_to_vec())).unwrap();
            prop_assert_eq!(&bits(&ours), &all);
            prop_assert_eq!(ours.encode_to_vec(), packed.encode_to_vec());

            let mut wire = Plain { data: first }.encode_to_vec();
            wire.extend(Unpacked { data: second, later: "x".into() }.encode_to_vec());
            prop_assert_eq!(bits(&FloatArray::decode(Bytes::from(wire)).unwrap()), all);
        }

        #[test]
        fn broken_bytes_are_an_error_and_never_a_panic(wire in proptest::collection::vec(any::<u8>(), 0..64)) {
            let ours = FloatArray::decode(&wire[..]);
            let plain = Plain::decode(&wire[..]);
            prop_assert_eq!(ours.is_ok(), plain.is_ok());
            let _ = DoubleArray::decode(&wire[..]);
        }
    }

    #[test]
    fn a_run_is_shared_not_copied() {
        let wire = Bytes::from(FloatArray::from_numbers([1.0, 2.0]).encode_to_vec());
        let range = wire.as_ptr_range();
        let array = FloatArray::decode(wire).unwrap();
        assert_eq!(array.numbers().collect::<Vec<_>>(), [1.0, 2.0]);
        assert!(range.contains(&array.data.as_ptr()));
    }
}
