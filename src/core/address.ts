/** A URL as it may be shown: without user and password. Up to the last `@`, for a password may hold one. */
export const withoutPassword = (url: string): string => url.replace(/\/\/\S*@/, '//')
