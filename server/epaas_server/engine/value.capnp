# The runtime's serialised value, as far as an encrypted integer tensor needs it (Cap'n Proto, wire-compatible with
# concrete-python 2.11's own protocol; field order and numbers are the format).
@0xb3a1d5c2f4e69788;

struct Shape { dimensions @0 :List(UInt32); }

struct RawInfo {
  shape @0 :Shape;
  integerPrecision @1 :UInt32;
  isSigned @2 :Bool;
}

struct Payload { data @0 :List(Data); }

struct Empty {}

struct Modulus {
  modulus :union {
    native @0 :Empty;
    powerOfTwo @1 :Empty;
    integer @2 :Empty;
  }
}

struct Encryption {
  keyId @0 :UInt32;
  variance @1 :Float64;
  lweDimension @2 :UInt32;
  modulus @3 :Modulus;
}

struct IntegerEncoding {
  width @0 :UInt32;
  isSigned @1 :Bool;
  mode :union {
    native @2 :Empty;
    chunked @3 :Empty;
    crt @4 :Empty;
  }
}

enum Compression {
  none @0;
  seed @1;
}

struct LweCiphertextType {
  abstractShape @0 :Shape;
  concreteShape @1 :Shape;
  integerPrecision @2 :UInt32;
  encryption @3 :Encryption;
  compression @4 :Compression;
  encoding :union {
    integer @5 :IntegerEncoding;
    boolean @6 :Empty;
  }
}

struct TypeInfo {
  union {
    lweCiphertext @0 :LweCiphertextType;
    plaintext @1 :Empty;
    index @2 :Empty;
  }
}

struct Value {
  payload @0 :Payload;
  rawInfo @1 :RawInfo;
  typeInfo @2 :TypeInfo;
}
