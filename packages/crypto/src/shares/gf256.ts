/**
 * The field GF(2⁸) with the polynomial x⁸ + x⁴ + x³ + x + 1 (FIPS 197 section 4.2). No tables and no branches on the operands, so
 * that neither caches nor timing tell them as far as JavaScript lets us decide.
 */

/** What x⁸ is reduced to. */
const reduction = 0x1b;

/** The product of two bytes. */
export function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = a;
  for (let bit = 0; bit < 8; bit += 1) {
    product ^= shifted & -((b >>> bit) & 1);
    shifted = ((shifted << 1) & 0xff) ^ (reduction & -(shifted >>> 7));
  }
  return product;
}

/** The inverse of a byte, a²⁵⁴; 0 for 0, which has none. */
export function invert(a: number): number {
  // 254 = 2 + 4 + … + 128
  let square = a;
  let inverse = 1;
  for (let power = 1; power < 8; power += 1) {
    square = multiply(square, square);
    inverse = multiply(inverse, square);
  }
  return inverse;
}

/** The value at `x` of the polynomial whose coefficients begin with the constant one. */
export function evaluate(coefficients: Uint8Array, x: number): number {
  let value = 0;
  for (let power = coefficients.length - 1; power >= 0; power -= 1) {
    value = multiply(value, x) ^ (coefficients[power] ?? 0);
  }
  return value;
}

/**
 * The factors with which the values at `places` add up to the value at `x` of the polynomial through them (Lagrange).
 *
 * @param places distinct, none of them `x`; public
 */
export function interpolation(places: readonly number[], x: number): number[] {
  return places.map((place) =>
    places
      .filter((other) => other !== place)
      .reduce((factor, other) => multiply(factor, multiply(other ^ x, invert(other ^ place))), 1),
  );
}
