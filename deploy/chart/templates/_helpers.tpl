{{- define "vitrine.labels" -}}
app.kubernetes.io/name: vitrine
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "vitrine.selector" -}}
app.kubernetes.io/name: vitrine
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: service
{{- end }}

{{- /* Of every pod: the image's user, no privileges, no token of the cluster, no service links. */ -}}
{{- define "vitrine.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "vitrine.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "vitrine.environment" -}}
- {name: VITRINE_REDIS_URL_FILE, value: /srv/secrets/store/url}
{{- end }}

{{- /* A step of a job over the shop's volume. */ -}}
{{- define "vitrine.step" -}}
- name: {{ .name }}
  image: "{{ .root.Values.nightly.image.repository }}:{{ .root.Values.nightly.image.tag }}"
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: {{ toJson .command }}
  args: {{ toJson .args }}
  env:
    {{- include "vitrine.environment" .root | nindent 4 }}
    - {name: VITRINE_BUNDLES, value: /srv/shop/bundles}
    - {name: HOME, value: /tmp}
    {{- with .root.Values.bundles.from }}
    - {name: VITRINE_BUNDLES_FROM, value: {{ . | quote }}}
    {{- end }}
  {{- with .root.Values.environmentFrom }}
  envFrom:
    {{- range . }}
    - secretRef: {name: {{ . }}}
    {{- end }}
  {{- end }}
  {{- with .resources }}
  resources: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- include "vitrine.container" . | nindent 4 }}
  volumeMounts:
    - {name: shop, mountPath: /srv/shop}
    - {name: store, mountPath: /srv/secrets/store, readOnly: true}
    - {name: temporary, mountPath: /tmp}
    {{- if .isAdmin }}
    - {name: admin, mountPath: /srv/secrets/admin, readOnly: true}
    {{- end }}
{{- end }}

{{- define "vitrine.job-volumes" -}}
- name: shop
  persistentVolumeClaim: {claimName: {{ .Values.nightly.claim }}}
- name: store
  secret: {secretName: {{ .Values.store.secret }}, items: [{key: {{ .Values.store.key }}, path: url}]}
- {name: temporary, emptyDir: {}}
{{- end }}
