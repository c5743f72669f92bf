"""The Go types of a service's spec, as a table: which fields a typed round trip keeps, drops or always writes.

Merging and templates behave as Go's typed structs do (MERGE-2, TPL-3), so the facts of those structs are
needed: KServe at aaac4e294 (21 August 2026), k8s.io/api v0.34.5, Gateway API v1.5.1, Inference Extension v1.5.0, KEDA
v2.18.0, Knative.
It knows every field of the stored schema (SCHEMA-7). `gotypes.py` reads the table; this module holds the facts and nothing else.

One type a line, indented lines continue it, fields in Go's order:

    name[=GoName][:type][@mergeKey][!|?|&]

No GoName: the JSON name with a capital first letter. No type: string. `*` pointer, `[]` list, `map[]` string map,
`x~y` a named Go type y whose values are x. `@key` marks a list that a strategic merge joins by that key (`@` alone: as a
set of scalars). `!` is written even when empty, `?` is dropped when the whole value is zero, everything else has
omitempty. `<Name ... >` are the fields of an embedded struct, `&` is one embedded under a JSON name of its own.
"""

from typing import Final

TABLE: Final = """
kserve.ConfidentialSpec: enabled:bool! resourceId=ResourceID
kserve.GatewayObjectReference: <UntypedObjectReference name:string~v1.ObjectName namespace:string~v1.Namespace >
  sectionName:*string~v1.SectionName
kserve.GatewayRoutesSpec: http=HTTP:*kserve.HTTPRouteSpec group:*string weight:*int32
kserve.GatewaySpec: refs:[]kserve.GatewayObjectReference
kserve.HPAScalingSpec: behavior:*autoscaling.HorizontalPodAutoscalerBehavior
kserve.HTTPRouteSpec: refs:[]core.LocalObjectReference spec:*gateway.HTTPRouteSpec
kserve.InferencePoolSpec: spec:*pool.InferencePoolSpec ref:*core.LocalObjectReference
kserve.IngressSpec: refs:[]kserve.UntypedObjectReference
kserve.KEDAScalingSpec: pollingInterval:*int32 cooldownPeriod:*int32 initialCooldownPeriod:*int32
  idleReplicaCount:*int32 fallback:*keda.Fallback advanced:*keda.AdvancedConfig
kserve.DirectKEDAScalingSpec: <KEDAScalingSpec pollingInterval:*int32 cooldownPeriod:*int32
  initialCooldownPeriod:*int32 idleReplicaCount:*int32 fallback:*keda.Fallback advanced:*keda.AdvancedConfig >
  triggers:[]keda.ScaleTriggers!
kserve.KVCacheEmptyDir: size:quantity!
kserve.KVCacheFileSystem: emptyDir:*kserve.KVCacheEmptyDir pvc=PVC:*kserve.KVCachePVC
kserve.KVCacheOffloadingSpec: cpu=CPU:quantity! evictionPolicy secondary:[]kserve.KVCacheSecondaryTier
kserve.KVCachePVC: spec:*core.PersistentVolumeClaimSpec ref:*kserve.KVCachePVCReference
kserve.KVCachePVCReference: name! path
kserve.KVCacheSecondaryTier: fileSystem:*kserve.KVCacheFileSystem
kserve.LLMInferenceServiceSpec: model:kserve.LLMModelSpec! <WorkloadSpec replicas:*int32
  scaling:*kserve.ScalingSpec labels:map[]string annotations:map[]string
  kvCacheOffloading=KVCacheOffloading:*kserve.KVCacheOffloadingSpec rolloutStrategy:*kserve.RolloutStrategySpec
  parallelism:*kserve.ParallelismSpec template:*core.PodSpec worker:*core.PodSpec > router:*kserve.RouterSpec
  prefill:*kserve.WorkloadSpec storageInitializer:*kserve.StorageInitializerSpec tracing:*kserve.TracingSpec
  baseRefs:[]core.LocalObjectReference
kserve.LLMInferenceServiceStatus: url=URL:*url <Status observedGeneration:int64
  conditions:[]knative.Condition~v1.Conditions annotations:map[]string > <AddressStatus
  address:*knative.Addressable addresses:[]knative.Addressable >
kserve.LLMModelSpec: uri=URI:url! name:*string lora=LoRA:*kserve.LoRASpec
  confidential:*kserve.ConfidentialSpec
kserve.LoRASpec: adapters:[]kserve.LLMModelSpec maxRank:*int32 maxAdapters:*int32 maxCpuAdapters:*int32
kserve.ParallelismSpec: tensor:*int32 pipeline:*int32 data:*int32 dataLocal:*int32 dataRPCPort:*int32
  expert:bool
kserve.RolloutStrategySpec: maxUnavailable:*intstr maxSurge:*intstr
kserve.RouterSpec: route:*kserve.GatewayRoutesSpec gateway:*kserve.GatewaySpec ingress:*kserve.IngressSpec
  scheduler:*kserve.SchedulerSpec
kserve.ScalingSpec: minReplicas:*int32 maxReplicas:int32! wva=WVA:*kserve.WVASpec
  keda=KEDA:*kserve.DirectKEDAScalingSpec
kserve.SchedulerConfigSpec: inline:*raw ref:*core.ConfigMapKeySelector
kserve.SchedulerSpec: pool:*kserve.InferencePoolSpec labels:map[]string annotations:map[]string
  template:*core.PodSpec replicas:*int32 config:*kserve.SchedulerConfigSpec tokenizer:*kserve.TokenizerSpec
kserve.StorageInitializerSpec: enabled:*bool
kserve.TokenizerSpec: template:*core.PodSpec
kserve.TracingSpec: exporterEndpoint:*string sampler:*string samplerArg:*string exporter:*string
kserve.UntypedObjectReference: name:string~v1.ObjectName namespace:string~v1.Namespace
kserve.WVASpec: variantCost hpa=HPA:*kserve.HPAScalingSpec keda=KEDA:*kserve.KEDAScalingSpec
kserve.WorkloadSpec: replicas:*int32 scaling:*kserve.ScalingSpec labels:map[]string annotations:map[]string
  kvCacheOffloading=KVCacheOffloading:*kserve.KVCacheOffloadingSpec rolloutStrategy:*kserve.RolloutStrategySpec
  parallelism:*kserve.ParallelismSpec template:*core.PodSpec
  worker:*core.PodSpec
knative.Addressable: name:*string url=URL:*url CACerts:*string audience:*string
knative.Condition: type:string~apis.ConditionType! status:string~v1.ConditionStatus!
  severity:string~apis.ConditionSeverity lastTransitionTime:time reason message
pool.EndpointPickerRef: group:*string~v1.Group kind:string~v1.Kind name:string~v1.ObjectName port:*pool.Port
  failureMode:string~v1.EndpointPickerFailureMode
pool.InferencePoolSpec: selector:pool.LabelSelector? targetPorts:[]pool.Port appProtocol:string~v1.AppProtocol
  endpointPickerRef:pool.EndpointPickerRef?
pool.LabelSelector: matchLabels:map[]string~map[v1.LabelKey]v1.LabelValue
pool.Port: number:int32~v1.PortNumber
autoscaling.HPAScalingPolicy: type:string~v2.HPAScalingPolicyType! value:int32! periodSeconds:int32!
autoscaling.HPAScalingRules: stabilizationWindowSeconds:*int32 selectPolicy:*string~v2.ScalingPolicySelect
  policies:[]autoscaling.HPAScalingPolicy tolerance:*quantity
autoscaling.HorizontalPodAutoscalerBehavior: scaleUp:*autoscaling.HPAScalingRules
  scaleDown:*autoscaling.HPAScalingRules
keda.AdvancedConfig: horizontalPodAutoscalerConfig:*keda.HorizontalPodAutoscalerConfig
  restoreToOriginalReplicaCount:bool scalingModifiers:keda.ScalingModifiers
keda.AuthenticationRef: name! kind
keda.Fallback: failureThreshold:int32! replicas:int32! behavior
keda.HorizontalPodAutoscalerConfig: behavior:*autoscaling.HorizontalPodAutoscalerBehavior name
keda.ScaleTriggers: type! name useCachedMetrics:bool metadata:map[]string!
  authenticationRef:*keda.AuthenticationRef metricType:string~v2.MetricTargetType
keda.ScalingModifiers: formula target activationTarget metricType:string~v2.MetricTargetType
gateway.BackendObjectReference: group:*string~v1.Group kind:*string~v1.Kind name:string~v1.ObjectName!
  namespace:*string~v1.Namespace port:*int32
gateway.CookieConfig: lifetimeType:*string~v1.CookieLifetimeType
gateway.ForwardBodyConfig: maxSize:uint16
gateway.Fraction: numerator:int32! denominator:*int32
gateway.GRPCAuthConfig: allowedHeaders=AllowedRequestHeaders:[]string
gateway.HTTPAuthConfig: path allowedHeaders=AllowedRequestHeaders:[]string allowedResponseHeaders:[]string
gateway.HTTPBackendRef: <BackendRef <BackendObjectReference group:*string~v1.Group kind:*string~v1.Kind
  name:string~v1.ObjectName! namespace:*string~v1.Namespace port:*int32 > weight:*int32 >
  filters:[]gateway.HTTPRouteFilter
gateway.HTTPCORSFilter: allowOrigins:[]string~v1.CORSOrigin allowCredentials:*bool
  allowMethods:[]string~v1.HTTPMethodWithWildcard allowHeaders:[]string~v1.HTTPHeaderName
  exposeHeaders:[]string~v1.HTTPHeaderName maxAge:int32
gateway.HTTPExternalAuthFilter: protocol=ExternalAuthProtocol:string~v1.HTTPRouteExternalAuthProtocol
  backendRef:gateway.BackendObjectReference grpc=GRPCAuthConfig:*gateway.GRPCAuthConfig
  http=HTTPAuthConfig:*gateway.HTTPAuthConfig forwardBody:*gateway.ForwardBodyConfig
gateway.HTTPHeader: name:string~v1.HTTPHeaderName! value!
gateway.HTTPHeaderFilter: set:[]gateway.HTTPHeader add:[]gateway.HTTPHeader remove:[]string
gateway.HTTPHeaderMatch: type:*string~v1.HeaderMatchType name:string~v1.HTTPHeaderName! value!
gateway.HTTPPathMatch: type:*string~v1.PathMatchType value:*string
gateway.HTTPPathModifier: type:string~v1.HTTPPathModifierType! replaceFullPath:*string
  replacePrefixMatch:*string
gateway.HTTPQueryParamMatch: type:*string~v1.QueryParamMatchType name:string~v1.HTTPHeaderName! value!
gateway.HTTPRequestMirrorFilter: backendRef:gateway.BackendObjectReference! percent:*int32
  fraction:*gateway.Fraction
gateway.HTTPRequestRedirectFilter: scheme:*string hostname:*string~v1.PreciseHostname
  path:*gateway.HTTPPathModifier port:*int32 statusCode:*int
gateway.HTTPRouteFilter: type:string~v1.HTTPRouteFilterType! requestHeaderModifier:*gateway.HTTPHeaderFilter
  responseHeaderModifier:*gateway.HTTPHeaderFilter requestMirror:*gateway.HTTPRequestMirrorFilter
  requestRedirect:*gateway.HTTPRequestRedirectFilter urlRewrite=URLRewrite:*gateway.HTTPURLRewriteFilter
  cors=CORS:*gateway.HTTPCORSFilter externalAuth:*gateway.HTTPExternalAuthFilter
  extensionRef:*gateway.LocalObjectReference
gateway.HTTPRouteMatch: path:*gateway.HTTPPathMatch headers:[]gateway.HTTPHeaderMatch
  queryParams:[]gateway.HTTPQueryParamMatch method:*string~v1.HTTPMethod
gateway.HTTPRouteRetry: codes:[]int~v1.HTTPRouteRetryStatusCode attempts:*int backoff:*string~v1.Duration
gateway.HTTPRouteRule: name:*string~v1.SectionName matches:[]gateway.HTTPRouteMatch
  filters:[]gateway.HTTPRouteFilter backendRefs:[]gateway.HTTPBackendRef timeouts:*gateway.HTTPRouteTimeouts
  retry:*gateway.HTTPRouteRetry sessionPersistence:*gateway.SessionPersistence
gateway.HTTPRouteSpec: <CommonRouteSpec parentRefs:[]gateway.ParentReference
  useDefaultGateways:string~v1.GatewayDefaultScope > hostnames:[]string~v1.Hostname
  rules:[]gateway.HTTPRouteRule
gateway.HTTPRouteTimeouts: request:*string~v1.Duration backendRequest:*string~v1.Duration
gateway.HTTPURLRewriteFilter: hostname:*string~v1.PreciseHostname path:*gateway.HTTPPathModifier
gateway.LocalObjectReference: group:string~v1.Group! kind:string~v1.Kind! name:string~v1.ObjectName!
gateway.ParentReference: group:*string~v1.Group kind:*string~v1.Kind namespace:*string~v1.Namespace
  name:string~v1.ObjectName! sectionName:*string~v1.SectionName port:*int32
gateway.SessionPersistence: sessionName:*string absoluteTimeout:*string~v1.Duration
  idleTimeout:*string~v1.Duration type:*string~v1.SessionPersistenceType cookieConfig:*gateway.CookieConfig
meta.LabelSelector: matchLabels:map[]string matchExpressions:[]meta.LabelSelectorRequirement
meta.LabelSelectorRequirement: key! operator:string~v1.LabelSelectorOperator! values:[]string
meta.ManagedFieldsEntry: manager operation:string~v1.ManagedFieldsOperationType apiVersion=APIVersion time:*time
  fieldsType fieldsV1:*any subresource
meta.ObjectMeta: name generateName namespace selfLink uid=UID:string~types.UID resourceVersion generation:int64
  creationTimestamp:time? deletionTimestamp:*time deletionGracePeriodSeconds:*int64 labels:map[]string
  annotations:map[]string ownerReferences:[]meta.OwnerReference@uid finalizers:[]string@
  managedFields:[]meta.ManagedFieldsEntry
meta.OwnerReference: apiVersion=APIVersion! kind! name! uid=UID:string~types.UID! controller:*bool
  blockOwnerDeletion:*bool
core.AWSElasticBlockStoreVolumeSource: volumeID! fsType=FSType partition:int32 readOnly:bool
core.Affinity: nodeAffinity:*core.NodeAffinity podAffinity:*core.PodAffinity
  podAntiAffinity:*core.PodAntiAffinity
core.AppArmorProfile: type:string~v1.AppArmorProfileType! localhostProfile:*string
core.AzureDiskVolumeSource: diskName! diskURI=DataDiskURI! cachingMode:*string~v1.AzureDataDiskCachingMode
  fsType=FSType:*string readOnly:*bool kind:*string~v1.AzureDataDiskKind
core.AzureFileVolumeSource: secretName! shareName! readOnly:bool
core.CSIVolumeSource: driver! readOnly:*bool fsType=FSType:*string volumeAttributes:map[]string
  nodePublishSecretRef:*core.LocalObjectReference
core.Capabilities: add:[]string~v1.Capability drop:[]string~v1.Capability
core.CephFSVolumeSource: monitors:[]string! path user secretFile secretRef:*core.LocalObjectReference
  readOnly:bool
core.CinderVolumeSource: volumeID! fsType=FSType readOnly:bool secretRef:*core.LocalObjectReference
core.ClusterTrustBundleProjection: name:*string signerName:*string labelSelector:*meta.LabelSelector
  optional:*bool path!
core.ConfigMapEnvSource: <LocalObjectReference name > optional:*bool
core.ConfigMapKeySelector: <LocalObjectReference name > key! optional:*bool
core.ConfigMapProjection: <LocalObjectReference name > items:[]core.KeyToPath optional:*bool
core.ConfigMapVolumeSource: <LocalObjectReference name > items:[]core.KeyToPath defaultMode:*int32
  optional:*bool
core.Container: name! image command:[]string args:[]string workingDir ports:[]core.ContainerPort@containerPort
  envFrom:[]core.EnvFromSource env:[]core.EnvVar@name resources:core.ResourceRequirements
  resizePolicy:[]core.ContainerResizePolicy restartPolicy:*string~v1.ContainerRestartPolicy
  restartPolicyRules:[]core.ContainerRestartRule volumeMounts:[]core.VolumeMount@mountPath
  volumeDevices:[]core.VolumeDevice@devicePath livenessProbe:*core.Probe readinessProbe:*core.Probe
  startupProbe:*core.Probe lifecycle:*core.Lifecycle terminationMessagePath
  terminationMessagePolicy:string~v1.TerminationMessagePolicy imagePullPolicy:string~v1.PullPolicy
  securityContext:*core.SecurityContext stdin:bool stdinOnce:bool tty=TTY:bool
core.ContainerPort: name hostPort:int32 containerPort:int32! protocol:string~v1.Protocol hostIP
core.ContainerResizePolicy: resourceName:string~v1.ResourceName!
  restartPolicy:string~v1.ResourceResizeRestartPolicy!
core.ContainerRestartRule: action:string~v1.ContainerRestartRuleAction
  exitCodes:*core.ContainerRestartRuleOnExitCodes
core.ContainerRestartRuleOnExitCodes: operator:string~v1.ContainerRestartRuleOnExitCodesOperator values:[]int32
core.DownwardAPIProjection: items:[]core.DownwardAPIVolumeFile
core.DownwardAPIVolumeFile: path! fieldRef:*core.ObjectFieldSelector
  resourceFieldRef:*core.ResourceFieldSelector mode:*int32
core.DownwardAPIVolumeSource: items:[]core.DownwardAPIVolumeFile defaultMode:*int32
core.EmptyDirVolumeSource: medium:string~v1.StorageMedium sizeLimit:*quantity
core.EnvFromSource: prefix configMapRef:*core.ConfigMapEnvSource secretRef:*core.SecretEnvSource
core.EnvVar: name! value valueFrom:*core.EnvVarSource
core.EnvVarSource: fieldRef:*core.ObjectFieldSelector resourceFieldRef:*core.ResourceFieldSelector
  configMapKeyRef:*core.ConfigMapKeySelector secretKeyRef:*core.SecretKeySelector
  fileKeyRef:*core.FileKeySelector
core.EphemeralContainer: <EphemeralContainerCommon name! image command:[]string args:[]string workingDir
  ports:[]core.ContainerPort@containerPort envFrom:[]core.EnvFromSource env:[]core.EnvVar@name
  resources:core.ResourceRequirements resizePolicy:[]core.ContainerResizePolicy
  restartPolicy:*string~v1.ContainerRestartPolicy restartPolicyRules:[]core.ContainerRestartRule
  volumeMounts:[]core.VolumeMount@mountPath volumeDevices:[]core.VolumeDevice@devicePath
  livenessProbe:*core.Probe readinessProbe:*core.Probe startupProbe:*core.Probe lifecycle:*core.Lifecycle
  terminationMessagePath terminationMessagePolicy:string~v1.TerminationMessagePolicy
  imagePullPolicy:string~v1.PullPolicy securityContext:*core.SecurityContext stdin:bool stdinOnce:bool
  tty=TTY:bool > targetContainerName
core.EphemeralVolumeSource: volumeClaimTemplate:*core.PersistentVolumeClaimTemplate
core.ExecAction: command:[]string
core.FCVolumeSource: targetWWNs:[]string lun:*int32 fsType=FSType readOnly:bool wwids=WWIDs:[]string
core.FileKeySelector: volumeName! path! key! optional:*bool
core.FlexVolumeSource: driver! fsType=FSType secretRef:*core.LocalObjectReference readOnly:bool
  options:map[]string
core.FlockerVolumeSource: datasetName datasetUUID
core.GCEPersistentDiskVolumeSource: pdName=PDName! fsType=FSType partition:int32 readOnly:bool
core.GRPCAction: port:int32! service:*string!
core.GitRepoVolumeSource: repository! revision directory
core.GlusterfsVolumeSource: endpoints=EndpointsName! path! readOnly:bool
core.HTTPGetAction: path port:intstr! host scheme:string~v1.URIScheme httpHeaders=HTTPHeaders:[]core.HTTPHeader
core.HTTPHeader: name! value!
core.HostAlias: ip=IP! hostnames:[]string
core.HostPathVolumeSource: path! type:*string~v1.HostPathType
core.ISCSIVolumeSource: targetPortal! iqn=IQN! lun:int32! iscsiInterface=ISCSIInterface fsType=FSType
  readOnly:bool portals:[]string chapAuthDiscovery=DiscoveryCHAPAuth:bool chapAuthSession=SessionCHAPAuth:bool
  secretRef:*core.LocalObjectReference initiatorName:*string
core.ImageVolumeSource: reference pullPolicy:string~v1.PullPolicy
core.KeyToPath: key! path! mode:*int32
core.Lifecycle: postStart:*core.LifecycleHandler preStop:*core.LifecycleHandler stopSignal:*string~v1.Signal
core.LifecycleHandler: exec:*core.ExecAction httpGet=HTTPGet:*core.HTTPGetAction
  tcpSocket=TCPSocket:*core.TCPSocketAction sleep:*core.SleepAction
core.LocalObjectReference: name
core.NFSVolumeSource: server! path! readOnly:bool
core.NodeAffinity: requiredDuringSchedulingIgnoredDuringExecution:*core.NodeSelector
  preferredDuringSchedulingIgnoredDuringExecution:[]core.PreferredSchedulingTerm
core.NodeSelector: nodeSelectorTerms:[]core.NodeSelectorTerm!
core.NodeSelectorRequirement: key! operator:string~v1.NodeSelectorOperator! values:[]string
core.NodeSelectorTerm: matchExpressions:[]core.NodeSelectorRequirement
  matchFields:[]core.NodeSelectorRequirement
core.ObjectFieldSelector: apiVersion=APIVersion fieldPath!
core.PersistentVolumeClaimSpec: accessModes:[]string~v1.PersistentVolumeAccessMode selector:*meta.LabelSelector
  resources:core.VolumeResourceRequirements volumeName storageClassName:*string
  volumeMode:*string~v1.PersistentVolumeMode dataSource:*core.TypedLocalObjectReference
  dataSourceRef:*core.TypedObjectReference volumeAttributesClassName:*string
core.PersistentVolumeClaimTemplate: metadata=ObjectMeta:meta.ObjectMeta spec:core.PersistentVolumeClaimSpec!
core.PersistentVolumeClaimVolumeSource: claimName! readOnly:bool
core.PhotonPersistentDiskVolumeSource: pdID! fsType=FSType
core.PodAffinity: requiredDuringSchedulingIgnoredDuringExecution:[]core.PodAffinityTerm
  preferredDuringSchedulingIgnoredDuringExecution:[]core.WeightedPodAffinityTerm
core.PodAffinityTerm: labelSelector:*meta.LabelSelector namespaces:[]string topologyKey!
  namespaceSelector:*meta.LabelSelector matchLabelKeys:[]string mismatchLabelKeys:[]string
core.PodAntiAffinity: requiredDuringSchedulingIgnoredDuringExecution:[]core.PodAffinityTerm
  preferredDuringSchedulingIgnoredDuringExecution:[]core.WeightedPodAffinityTerm
core.PodCertificateProjection: signerName keyType maxExpirationSeconds:*int32 credentialBundlePath keyPath
  certificateChainPath
core.PodDNSConfig: nameservers:[]string searches:[]string options:[]core.PodDNSConfigOption
core.PodDNSConfigOption: name value:*string
core.PodOS: name:string~v1.OSName!
core.PodReadinessGate: conditionType:string~v1.PodConditionType!
core.PodResourceClaim: name! resourceClaimName:*string resourceClaimTemplateName:*string
core.PodSchedulingGate: name!
core.PodSecurityContext: seLinuxOptions=SELinuxOptions:*core.SELinuxOptions
  windowsOptions:*core.WindowsSecurityContextOptions runAsUser:*int64 runAsGroup:*int64 runAsNonRoot:*bool
  supplementalGroups:[]int64 supplementalGroupsPolicy:*string~v1.SupplementalGroupsPolicy fsGroup=FSGroup:*int64
  sysctls:[]core.Sysctl fsGroupChangePolicy=FSGroupChangePolicy:*string~v1.PodFSGroupChangePolicy
  seccompProfile:*core.SeccompProfile appArmorProfile:*core.AppArmorProfile
  seLinuxChangePolicy=SELinuxChangePolicy:*string~v1.PodSELinuxChangePolicy
core.PodSpec: volumes:[]core.Volume@name initContainers:[]core.Container@name containers:[]core.Container@name!
  ephemeralContainers:[]core.EphemeralContainer@name restartPolicy:string~v1.RestartPolicy
  terminationGracePeriodSeconds:*int64 activeDeadlineSeconds:*int64 dnsPolicy=DNSPolicy:string~v1.DNSPolicy
  nodeSelector:map[]string serviceAccountName serviceAccount=DeprecatedServiceAccount
  automountServiceAccountToken:*bool nodeName hostNetwork:bool hostPID:bool hostIPC:bool
  shareProcessNamespace:*bool securityContext:*core.PodSecurityContext
  imagePullSecrets:[]core.LocalObjectReference@name hostname subdomain affinity:*core.Affinity schedulerName
  tolerations:[]core.Toleration hostAliases:[]core.HostAlias@ip priorityClassName priority:*int32
  dnsConfig=DNSConfig:*core.PodDNSConfig readinessGates:[]core.PodReadinessGate runtimeClassName:*string
  enableServiceLinks:*bool preemptionPolicy:*string~v1.PreemptionPolicy overhead:map[]quantity~v1.ResourceList
  topologySpreadConstraints:[]core.TopologySpreadConstraint@topologyKey setHostnameAsFQDN:*bool
  os=OS:*core.PodOS hostUsers:*bool schedulingGates:[]core.PodSchedulingGate@name
  resourceClaims:[]core.PodResourceClaim@name resources:*core.ResourceRequirements hostnameOverride:*string
core.PortworxVolumeSource: volumeID! fsType=FSType readOnly:bool
core.PreferredSchedulingTerm: weight:int32! preference:core.NodeSelectorTerm!
core.Probe: <ProbeHandler exec:*core.ExecAction httpGet=HTTPGet:*core.HTTPGetAction
  tcpSocket=TCPSocket:*core.TCPSocketAction grpc=GRPC:*core.GRPCAction > initialDelaySeconds:int32
  timeoutSeconds:int32 periodSeconds:int32 successThreshold:int32 failureThreshold:int32
  terminationGracePeriodSeconds:*int64
core.ProjectedVolumeSource: sources:[]core.VolumeProjection! defaultMode:*int32
core.QuobyteVolumeSource: registry! volume! readOnly:bool user group tenant
core.RBDVolumeSource: monitors=CephMonitors:[]string! image=RBDImage! fsType=FSType pool=RBDPool user=RadosUser
  keyring secretRef:*core.LocalObjectReference readOnly:bool
core.ResourceClaim: name! request
core.ResourceFieldSelector: containerName resource! divisor:quantity
core.ResourceRequirements: limits:map[]quantity~v1.ResourceList requests:map[]quantity~v1.ResourceList
  claims:[]core.ResourceClaim
core.SELinuxOptions: user role type level
core.ScaleIOVolumeSource: gateway! system! secretRef:*core.LocalObjectReference! sslEnabled=SSLEnabled:bool
  protectionDomain storagePool storageMode volumeName fsType=FSType readOnly:bool
core.SeccompProfile: type:string~v1.SeccompProfileType! localhostProfile:*string
core.SecretEnvSource: <LocalObjectReference name > optional:*bool
core.SecretKeySelector: <LocalObjectReference name > key! optional:*bool
core.SecretProjection: <LocalObjectReference name > items:[]core.KeyToPath optional:*bool
core.SecretVolumeSource: secretName items:[]core.KeyToPath defaultMode:*int32 optional:*bool
core.SecurityContext: capabilities:*core.Capabilities privileged:*bool
  seLinuxOptions=SELinuxOptions:*core.SELinuxOptions windowsOptions:*core.WindowsSecurityContextOptions
  runAsUser:*int64 runAsGroup:*int64 runAsNonRoot:*bool readOnlyRootFilesystem:*bool
  allowPrivilegeEscalation:*bool procMount:*string~v1.ProcMountType seccompProfile:*core.SeccompProfile
  appArmorProfile:*core.AppArmorProfile
core.ServiceAccountTokenProjection: audience expirationSeconds:*int64 path!
core.SleepAction: seconds:int64!
core.StorageOSVolumeSource: volumeName volumeNamespace fsType=FSType readOnly:bool
  secretRef:*core.LocalObjectReference
core.Sysctl: name! value!
core.TCPSocketAction: port:intstr! host
core.Toleration: key operator:string~v1.TolerationOperator value effect:string~v1.TaintEffect
  tolerationSeconds:*int64
core.TopologySpreadConstraint: maxSkew:int32! topologyKey!
  whenUnsatisfiable:string~v1.UnsatisfiableConstraintAction! labelSelector:*meta.LabelSelector minDomains:*int32
  nodeAffinityPolicy:*string~v1.NodeInclusionPolicy nodeTaintsPolicy:*string~v1.NodeInclusionPolicy
  matchLabelKeys:[]string
core.TypedLocalObjectReference: apiGroup=APIGroup:*string! kind! name!
core.TypedObjectReference: apiGroup=APIGroup:*string! kind! name! namespace:*string
core.Volume: name! <VolumeSource hostPath:*core.HostPathVolumeSource emptyDir:*core.EmptyDirVolumeSource
  gcePersistentDisk=GCEPersistentDisk:*core.GCEPersistentDiskVolumeSource
  awsElasticBlockStore=AWSElasticBlockStore:*core.AWSElasticBlockStoreVolumeSource
  gitRepo:*core.GitRepoVolumeSource secret:*core.SecretVolumeSource nfs=NFS:*core.NFSVolumeSource
  iscsi=ISCSI:*core.ISCSIVolumeSource glusterfs:*core.GlusterfsVolumeSource
  persistentVolumeClaim:*core.PersistentVolumeClaimVolumeSource rbd=RBD:*core.RBDVolumeSource
  flexVolume:*core.FlexVolumeSource cinder:*core.CinderVolumeSource cephfs=CephFS:*core.CephFSVolumeSource
  flocker:*core.FlockerVolumeSource downwardAPI:*core.DownwardAPIVolumeSource fc=FC:*core.FCVolumeSource
  azureFile:*core.AzureFileVolumeSource configMap:*core.ConfigMapVolumeSource
  vsphereVolume:*core.VsphereVirtualDiskVolumeSource quobyte:*core.QuobyteVolumeSource
  azureDisk:*core.AzureDiskVolumeSource photonPersistentDisk:*core.PhotonPersistentDiskVolumeSource
  projected:*core.ProjectedVolumeSource portworxVolume:*core.PortworxVolumeSource
  scaleIO:*core.ScaleIOVolumeSource storageos=StorageOS:*core.StorageOSVolumeSource
  csi=CSI:*core.CSIVolumeSource ephemeral:*core.EphemeralVolumeSource image:*core.ImageVolumeSource >
core.VolumeDevice: name! devicePath!
core.VolumeMount: name! readOnly:bool recursiveReadOnly:*string~v1.RecursiveReadOnlyMode mountPath! subPath
  mountPropagation:*string~v1.MountPropagationMode subPathExpr
core.VolumeProjection: secret:*core.SecretProjection downwardAPI:*core.DownwardAPIProjection
  configMap:*core.ConfigMapProjection serviceAccountToken:*core.ServiceAccountTokenProjection
  clusterTrustBundle:*core.ClusterTrustBundleProjection podCertificate:*core.PodCertificateProjection
core.VolumeResourceRequirements: limits:map[]quantity~v1.ResourceList requests:map[]quantity~v1.ResourceList
core.VsphereVirtualDiskVolumeSource: volumePath! fsType=FSType storagePolicyName storagePolicyID
core.WeightedPodAffinityTerm: weight:int32! podAffinityTerm:core.PodAffinityTerm!
core.WindowsSecurityContextOptions: gmsaCredentialSpecName=GMSACredentialSpecName:*string
  gmsaCredentialSpec=GMSACredentialSpec:*string runAsUserName:*string hostProcess:*bool
root.Root: <LLMInferenceService <TypeMeta kind apiVersion=APIVersion > metadata=ObjectMeta:meta.ObjectMeta&
  spec:kserve.LLMInferenceServiceSpec status:kserve.LLMInferenceServiceStatus >
  globalConfig:llmisvc.templateGlobalConfig
llmisvc.templateGlobalConfig: systemNamespace ingressGatewayName ingressGatewayNamespace
  enableTLS:bool modelBasedRoutingHeaderName inferencePoolNamespacedName
"""
