/** The number of sessions at which the sequence is narrowest. Chosen ahead of all data. */
const NARROWEST_AT = 1_000

/** ρ² that makes the sequence narrowest at `count` for this α: Waudby-Smith et al., section B.2, without Lambert's W. */
function tuning(count: number, alpha: number): number {
  const log = -2 * Math.log(alpha)
  return (log + Math.log(log) + 1) / count
}

/**
 * Half the width, in standard deviations, of the asymptotic confidence sequence after `count` observations: it holds at all times
 * together with probability 1 − α. Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (Annals of Statistics 2024,
 * "Time-uniform central limit theory and asymptotic confidence sequences"), Theorem 2.2.
 */
export function sequenceRadius(count: number, alpha: number, narrowestAt = NARROWEST_AT): number {
  const rho = tuning(narrowestAt, alpha)
  const scaled = count * rho + 1
  return Math.sqrt(((2 * scaled) / (count ** 2 * rho)) * Math.log(Math.sqrt(scaled) / alpha))
}

/**
 * The same in standard errors of an estimate from so many sessions of both arms together: what stands in place of Student's t where
 * somebody may look after every session.
 */
export const sequenceReach = (count: number, alpha: number): number => Math.sqrt(count) * sequenceRadius(count, alpha)
