# shellcheck shell=bash
# nginx in two phases: A, without a certificate, answers the ACME challenge on port 80 and nothing else; B ends TLS.

RENEWAL_HOOK=/etc/letsencrypt/renewal-hooks/deploy/agentkeys-broker-nginx
WEBROOT=/var/www/certbot

site_path() {
  if [[ $PACKAGES == apt ]]; then echo /etc/nginx/sites-available/agentkeys-broker; else echo /etc/nginx/conf.d/agentkeys-broker.conf; fi
}

has_certificate() {
  [[ -f /etc/letsencrypt/live/$ISSUER_HOST/fullchain.pem ]]
}

write_site() {
  [[ $CERTBOT == no ]] || write_renewal_hook
  [[ $NGINX == yes ]] || return 0
  local site
  site=$(site_path)
  [[ -d $WEBROOT ]] || act install -d -m 0755 "$WEBROOT"
  if has_certificate; then put_file 644 "$site" < <(phase_b); else put_file 644 "$site" < <(phase_a); fi
  if [[ $PACKAGES == apt ]]; then
    put_link "$site" /etc/nginx/sites-enabled/agentkeys-broker
    remove_file /etc/nginx/sites-enabled/default
  fi
  allow_proxying
  systemctl is-enabled --quiet nginx 2>/dev/null || act systemctl enable --quiet nginx
  if is_written "$site" || ! systemctl is-active --quiet nginx; then reload_nginx; fi
}

reload_nginx() {
  [[ $DRY_RUN == no ]] || return 0
  if nginx -t -q; then
    systemctl reload-or-restart nginx
  else
    say "warning: nginx refuses its configuration (above) and was not reloaded: correct it, then systemctl reload nginx" >&2
  fi
}

# SELinux lets nginx connect to nothing by default.
allow_proxying() {
  if [[ $(getenforce 2>/dev/null || true) == Enforcing ]]; then act setsebool -P httpd_can_network_connect 1; fi
}

write_renewal_hook() {
  put_file 755 "$RENEWAL_HOOK" <<'TEXT'
#!/bin/sh
# nginx reads a renewed certificate when it is reloaded.
systemctl reload nginx
TEXT
  [[ $PACKAGES != dnf ]] || act systemctl enable --quiet --now certbot-renew.timer
}

# listen PORT [OPTIONS]: on IPv6 too, where the machine has it; nginx does not start on an address that is not there.
listen() {
  printf '    listen %s;\n' "$*"
  [[ ! -e /proc/net/if_inet6 ]] || printf '    listen [::]:%s;\n' "$*"
}

acme_location() {
  cat <<TEXT
    server_name $ISSUER_HOST;
    access_log /var/log/nginx/access.log agentkeys;

    location ^~ /.well-known/acme-challenge/ {
        root $WEBROOT;
    }
TEXT
}

# Neither headers nor query: bearers are in the one, and what auditors look for in the other.
log_format() {
  cat <<'TEXT'
# Written by setup-broker-host.sh at each run.
log_format agentkeys '$time_iso8601 $request_method $uri $status $request_time';

TEXT
}

phase_a() {
  log_format
  echo 'server {'
  listen 80
  acme_location
  cat <<'TEXT'

    location / {
        default_type text/plain;
        return 503 "The certificate of this broker is not there yet.\n";
    }
}
TEXT
}

# Since 1.25.1 http2 is a directive of its own.
tls_listeners() {
  local version
  version=$(nginx -v 2>&1 | sed 's|.*/\([0-9.]*\).*|\1|')
  if [[ $(printf '%s\n1.25.1\n' "$version" | sort -V | head -n 1) == 1.25.1 ]]; then
    listen 443 ssl
    echo '    http2 on;'
  else
    listen 443 ssl http2
  fi
}

phase_b() {
  log_format
  echo 'server {'
  listen 80
  acme_location
  cat <<'TEXT'

    location / {
        return 301 https://$host$request_uri;
    }
}

server {
TEXT
  tls_listeners
  cat <<TEXT
    server_name $ISSUER_HOST;
    ssl_certificate     /etc/letsencrypt/live/$ISSUER_HOST/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/$ISSUER_HOST/privkey.pem;
TEXT
  cat <<'TEXT'
    ssl_protocols TLSv1.2 TLSv1.3;
    server_tokens off;
    access_log /var/log/nginx/access.log agentkeys;
    client_max_body_size 16k;

    # For your own monitoring, on the host itself.
    location = /metrics { return 404; }
    location = /readyz  { return 404; }

    location / {
        # Without a path at the end: what was asked for is passed on byte for byte.
        proxy_pass http://127.0.0.1:8091;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-Proto $scheme;
        # The peer's address alone: what a caller claims to be is not passed on.
        proxy_set_header X-Forwarded-For $remote_addr;
        # A mint may wait for STS (20 s), for the ledger (10 s) and for witnesses (10 s).
        proxy_read_timeout 60s;
    }
}
TEXT
}
