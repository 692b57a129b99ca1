import type { Schema } from './schemas.js'

export const query = (name: string, schema: Schema, required = false): Schema => ({
  name,
  in: 'query',
  required,
  schema,
})

export const part = (name: string, schema: Schema): Schema => ({
  name,
  in: 'path',
  required: true,
  schema,
})
