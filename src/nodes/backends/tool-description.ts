import type { ToolDescription } from '../../core/call.ts'

/** A tool as both kinds of servers are told of it. */
export const toolOf = ({ name, description, parameters }: ToolDescription) => ({
  type: 'function' as const,
  function: { name, ...(description !== undefined && { description }), parameters },
})
