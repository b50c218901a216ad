/**
 * From sound samples to the length of a level meter, linear in decibels as ears are.
 */

/** Quieter than this the meter shows nothing (dBFS). */
const FLOOR_DB = -60;
/** Speech close to a microphone reaches about this. */
const FULL_DB = -12;

/** Samples in -1..1 → 0..1. */
export function meterLevel(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const decibels = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12);
  return Math.min(1, Math.max(0, (decibels - FLOOR_DB) / (FULL_DB - FLOOR_DB)));
}

/** Rises at once, falls slowly: what the eye expects of a meter. */
export function smoothLevel(shown: number, level: number): number {
  return level >= shown ? level : Math.max(level, shown - 0.06);
}
