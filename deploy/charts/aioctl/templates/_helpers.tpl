{{/*
The objects are those of deploy/base, deploy/components and deploy/overlays: `files` links to them, and a template changes
only what values ask for. So chart and kustomization cannot drift apart.
*/}}

{{/* A file's text with the release's namespace. Takes a list: the root, the path below `files`. */}}
{{- define "aioctl.file" -}}
{{- $root := index . 0 -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $text := $root.Files.Get (printf "files/%s" (index . 1)) | required (printf "the chart lacks files/%s" (index . 1)) -}}
{{- $text | replace "namespace: kserve" (printf "namespace: %s" $namespace) | replace "namespace: opendatahub" (printf "namespace: %s" $namespace) | replace ".kserve.svc" (printf ".%s.svc" $namespace) -}}
{{- end -}}

{{/* What tells Helm's objects from others. The name stays off: the ServiceMonitor selects Services by it. */}}
{{- define "aioctl.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: aioctl
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{/* One document with the labels. Takes a list: the root, the object. */}}
{{- define "aioctl.object" -}}
{{- $root := index . 0 -}}
{{- $object := index . 1 -}}
{{- $labels := include "aioctl.labels" $root | fromYaml -}}
{{- $_ := set $object.metadata "labels" (merge ($object.metadata.labels | default dict) $labels) -}}
---
{{ toYaml $object }}
{{ end -}}

{{/* Every object of a file. Takes a list: the root, the path below `files`. */}}
{{- define "aioctl.objects" -}}
{{- $root := index . 0 -}}
{{- range splitList "\n---\n" (include "aioctl.file" .) -}}
{{- include "aioctl.object" (list $root (fromYaml .)) -}}
{{- end -}}
{{- end -}}

{{- define "aioctl.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Annotations by which the authority of a mounted certificate is put into webhooks. */}}
{{- define "aioctl.injection" -}}
{{- if eq .Values.certificate.mode "cert-manager" -}}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/aioctl-webhook
{{- else if eq .Values.certificate.mode "openshift" -}}
service.beta.openshift.io/inject-cabundle: "true"
{{- else -}}
{}
{{- end -}}
{{- end -}}
