/** The one audience AWS STS takes. */
export const STS_AUDIENCE = 'sts.amazonaws.com'
