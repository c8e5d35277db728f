//! Numbers as hexadecimal digits.

/// Sixteen lower-case digits.
#[inline]
pub(super) fn hex_digits(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    digits[..8].copy_from_slice(&half((number >> 32) as u32));
    digits[8..].copy_from_slice(&half(number as u32));
    digits
}

/// Eight digits at once, one in each byte of a word.
#[inline]
fn half(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut nibbles = u64::from(number);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // Adding 6 carries into the upper half of a byte from ten on.
    let letters = ((nibbles + EACH * 6) >> 4) & EACH;
    let digits = nibbles + EACH * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10);
    digits.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 1, 9, 10, 0x9abc_def0, 0x0f0f_a5a5_ffff_0000, u64::MAX] {
            let expected = format!("{number:016x}");
            assert_eq!(hex_digits(number), expected.as_bytes(), "{number:#x}");
        }
    }
}
