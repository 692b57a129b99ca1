export type MintKind = 'oidc_jwt' | 'aws_creds'
