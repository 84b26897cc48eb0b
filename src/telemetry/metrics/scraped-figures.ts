import type { ScrapedFigures } from '../../core/figures.ts'
import { Resources } from '../resources.ts'
import { ownMeters, processFigures } from './process-figures.ts'

/** Figures of a process that sends nothing anywhere: they are only scraped. */
export const scrapedFigures = (place: { service: string; instance: string; version: string }): ScrapedFigures =>
  processFigures((readers) => ownMeters(new Resources(place).own, readers), { isScraped: true })
