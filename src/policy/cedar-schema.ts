// What a policy may speak of. Published by `agentkeys-broker policy schema`; every policy is held against it when it is
// loaded, and a test holds every request that the broker makes against it.

export const CEDAR_SCHEMA = `// AgentKeys Broker: what a policy may ask of a mint.

// The identity that reaches AWS: 0x and 40 lower-case hex digits.
entity Wallet;
// The whole ARN of an IAM role.
entity Role;
// Of a token, as in its aud: sts.amazonaws.com, or one of BROKER_ALLOWED_AUDIENCES.
entity Audience;

type Session = {
  // What the session says it is for. Not every session says.
  agent?: String,
  backend: String,
  // 0: not made by another session.
  depth: Long,
  // The wallets of the sessions above it.
  parents: Set<Wallet>,
  readOnly: Bool,
  // Of a child session: the services it is narrowed to.
  services: Set<String>
};

// In the operator's time zone (BROKER_POLICY_TIMEZONE). weekday: 1 is Monday, 7 is Sunday.
type LocalTime = { hour: Long, minute: Long, weekday: Long };

type Mint = {
  session: Session,
  audience: Audience,
  role?: Role,
  // Seconds: of the token, or of the AWS session.
  lifetime: Long,
  now: datetime,
  local: LocalTime,
  // How many grants, and approvals, the caller has for this mint.
  grants: Long,
  approvals: Long
};

// resource: the role, where there is one and the audience is STS; or else the audience.
action "mint-oidc-jwt" appliesTo { principal: Wallet, resource: [Role, Audience], context: Mint };
action "mint-aws-creds" appliesTo { principal: Wallet, resource: Role, context: Mint };
`
