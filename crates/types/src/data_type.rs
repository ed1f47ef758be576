//! Data types of fields, with the numbers and names of the wire.

use std::fmt;

macro_rules! data_types {
    ($($(#[$doc:meta])* $variant:ident = $number:literal,)*) => {
        /// The type of a field's values; numbers as on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(clippy::upper_case_acronyms, reason = "the names are those of the wire")]
        pub enum DataType {
            $($(#[$doc])* $variant = $number,)*
        }

        impl DataType {
            /// Every data type, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The type with wire number `number`.
            pub fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name of the wire's enum, as Milvus prints it: `Int64`, `VarChar`, `FloatVector`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }
        }
    };
}

data_types! {
    /// true or false
    Bool = 1,
    /// 8-bit signed
    Int8 = 2,
    /// 16-bit signed
    Int16 = 3,
    /// 32-bit signed
    Int32 = 4,
    /// 64-bit signed
    Int64 = 5,
    /// IEEE 754 single
    Float = 10,
    /// IEEE 754 double
    Double = 11,
    /// Refused: use `VarChar`
    String = 20,
    /// UTF-8 up to `max_length` bytes
    VarChar = 21,
    /// Array of one scalar type
    Array = 22,
    /// Any JSON value
    JSON = 23,
    /// WKT in and out
    Geometry = 24,
    /// Large text
    Text = 25,
    /// Microseconds since the epoch, with a zone on the wire
    Timestamptz = 26,
    /// Bits, packed
    BinaryVector = 100,
    /// 32-bit floats
    FloatVector = 101,
    /// 16-bit floats
    Float16Vector = 102,
    /// bfloat16
    BFloat16Vector = 103,
    /// (index, value) pairs
    SparseFloatVector = 104,
    /// 8-bit signed integers
    Int8Vector = 105,
    /// Vectors inside a struct array
    ArrayOfVector = 106,
    /// Array of structs
    ArrayOfStruct = 200,
    /// Struct
    Struct = 201,
}

impl DataType {
    /// The wire number.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// Whether values are vectors that can be searched.
    pub fn is_vector(self) -> bool {
        matches!(
            self,
            Self::BinaryVector
                | Self::FloatVector
                | Self::Float16Vector
                | Self::BFloat16Vector
                | Self::SparseFloatVector
                | Self::Int8Vector
                | Self::ArrayOfVector
        )
    }

    /// Whether the type is one of the signed integers.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }

    /// Whether the type is `Float` or `Double`.
    pub fn is_floating(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Whether the type is a number.
    pub fn is_numeric(self) -> bool {
        self.is_integer() || self.is_floating()
    }

    /// Whether the type holds a string.
    pub fn is_string(self) -> bool {
        matches!(self, Self::String | Self::VarChar | Self::Text)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
