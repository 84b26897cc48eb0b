import type { RunEvent } from './event.ts'

/** The field of an event that people wrote or a model gave, by the event's type. */
export const textFields: Readonly<Partial<Record<RunEvent['type'], string>>> = {
  token: 'text',
  thinking: 'text',
  'tool-call': 'arguments',
  value: 'value',
  'interrupt-signal': 'input',
}

/** The same event, number and instant, without what people wrote and models answered. What a fault received may be either. */
export function withoutEventText(event: RunEvent): RunEvent {
  if (event.type === 'stage-settle' && event.error?.received !== undefined) {
    const { received: _, ...error } = event.error
    return { ...event, error }
  }
  const field = textFields[event.type]
  if (field === undefined || !(field in event)) return event
  const { [field]: _, ...rest } = event as Readonly<Record<string, unknown>>
  return rest as unknown as RunEvent
}

/** How long that is, in UTF-16 units; of what is no text, as JSON. */
export function eventTextLength(event: RunEvent): number {
  if (event.type === 'token' || event.type === 'thinking') return event.text.length
  const field = textFields[event.type]
  const value = field === undefined ? undefined : (event as unknown as Readonly<Record<string, unknown>>)[field]
  return value === undefined ? 0 : JSON.stringify(value).length
}
