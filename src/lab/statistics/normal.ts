import { bisect, errorFunction } from 'simple-statistics'

/** The 97.5 % and the 80 % quantile of the standard normal distribution, from R's `qnorm`. */
export const Z_975 = 1.959963984540054
export const Z_80 = 0.8416212335729143

/** Cumulative standard normal distribution; the error is below 1e-7 (that of `errorFunction`). */
export const normalBelow = (z: number): number => (1 + errorFunction(z / Math.SQRT2)) / 2

/** Its inverse within ±8, to about 1e-6 between 0.001 and 0.999. */
export const normalQuantile = (share: number): number => bisect((z) => normalBelow(z) - share, -8, 8, 100, 1e-10)
