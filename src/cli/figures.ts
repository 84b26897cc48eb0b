export { counted, listed, milliseconds, share } from '../pages/figures.ts'
