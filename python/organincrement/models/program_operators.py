"""Which operators of TorchScript a segmentation network needs: arithmetic on tensors, and nothing else.

Every other operator that this torch has is refused by its name: those that read or write files (`from_file`, `save`),
call other computers (`rpc_sync`, …), start threads (`fork`), print, reach into memory (`as_strided`, `set_`), and any
that a later torch brings.
"""

import functools

import torch

# An operator that changes its input in place has the same name with _ at its end, and is allowed with it.
_TENSORS = """
    abs absolute acos add addbmm addcdiv addcmul addmm addmv all amax amin aminmax any arange argmax argmin argsort
    asin as_tensor atan atan2 baddbmm bilinear bitwise_and bitwise_not bitwise_or bitwise_xor bmm broadcast_tensors
    broadcast_to bucketize cat ceil chunk clamp clamp_max clamp_min clip clone concat concatenate constant_pad_nd
    contiguous copy cos cosh count_nonzero cross cummax cummin cumprod cumsum detach diag diagonal diff dim div divide
    divmod dot einsum element_size empty empty_like eq equal erf erfc exp expand expand_as expm1 eye fill flatten flip
    float_power floor floor_divide floordiv fmod frac full full_like gather ge greater greater_equal gt hstack index
    index_add index_fill index_put index_select inverse is_complex is_contiguous is_cpu is_cuda is_floating_point
    is_nonzero is_quantized is_sparse isclose isfinite isinf isnan isneginf isposinf item kthvalue le lerp less
    less_equal linalg_inv linalg_norm linalg_vector_norm linspace log log10 log1p log2 logaddexp logical_and
    logical_not logical_or logical_xor logsumexp lt masked_fill masked_scatter masked_select matmul max maximum mean
    median meshgrid min minimum mm movedim moveaxis mul multiply mv nan_to_num narrow ne neg negative new_empty
    new_full new_ones new_zeros nonzero norm numel ones ones_like outer permute pow prod quantile ravel real
    reciprocal remainder repeat repeat_interleave reshape reshape_as roll rot90 round rsqrt rsub scalar_tensor scatter
    scatter_add searchsorted select sgn sign sin sinh size slice sort split split_with_sizes sqrt square squeeze stack
    std std_mean storage_offset stride sub subtract sum swapaxes t take_along_dim tan tanh tensor tensor_split
    tensordot tile to topk transpose tril triu true_divide trunc type type_as unbind unfold unsqueeze unflatten var
    var_mean view view_as vstack where zero zeros zeros_like _shape_as_tensor _unsafe_view _to_copy
"""
_LAYERS = """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _convolution _convolution_mode _log_softmax _native_batch_norm_legit
    _native_batch_norm_legit_no_training _native_multi_head_attention _pad_circular _pad_enum _prelu_kernel
    _safe_softmax _scaled_dot_product_attention_math _softmax _transformer_encoder_layer_fwd
    _transform_bias_rescale_qkv _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_lanczos2d_aa
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d _weight_norm _weight_norm_interface
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    adaptive_max_pool3d affine_grid_generator alpha_dropout avg_pool1d avg_pool2d avg_pool3d batch_norm celu
    channel_shuffle conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution dropout elu
    embedding feature_alpha_dropout feature_dropout gelu glu grid_sampler grid_sampler_2d grid_sampler_3d group_norm
    hardshrink hardsigmoid hardswish hardtanh im2col col2im instance_norm layer_norm leaky_relu linear log_sigmoid
    log_softmax max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices max_unpool2d
    max_unpool3d mish native_batch_norm native_group_norm native_layer_norm one_hot pad pixel_shuffle pixel_unshuffle
    prelu reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 replication_pad1d replication_pad2d
    replication_pad3d rms_norm rrelu scaled_dot_product_attention selu sigmoid silu softmax softplus softshrink
    threshold upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
    upsample_nearest3d upsample_trilinear3d bernoulli rand rand_like
"""
_LANGUAGE = """
    annotate Bool Complex ConstantChunk Float FloatImplicit Int IntImplicit NumToTensor RaiseException ScalarImplicit
    Size StringIndex TupleIndex TupleUnpack Uninitialized EnumName EnumValue ModuleContainerIndex __and__ __contains__
    __derive_index __getitem__ __is__ __isnot__ __not__ __or__ __range_length __round_to_zero_floordiv __xor__
    __lshift__ __rshift__ __iand__ __ior__ __interpolate __upsample __upsample_bilinear __upsample_nearest
    _autocast_to_full_precision _autocast_to_reduced_precision _get_tracing_state _infer_size _list_to_tensor
    _set_item _tensor_to_list _unwrap_optional append capitalize center clear complex count cpu cuda data degrees
    device dict dtype endswith extend fabs factorial find format gcd get get_autocast_dtype get_device grad
    has_torch_function hypot imag insert is_autocast_cpu_enabled is_autocast_enabled is_grad_enabled is_leaf is_meta
    is_mkldnn is_nested is_scripting is_xla is_mps is_xpu isalpha isdecimal isdigit items itemsize join keys layout
    len list lower lstrip mathremainder mode modf name nbytes ord partition percentFormat pop popitem radians range
    rangelist replace requires_grad result_type promote_types reverse rfind rindex rpartition rsplit rstrip
    set_grad_enabled setdefault sorted splitlines startswith str strip title tolist unchecked_cast
    unchecked_unwrap_optional update upper values warn sym_size sym_numel sym_stride mT numpy_T
"""
# Words of the language that are no operators, so that torch does not list them.
_REFUSED_WORDS = frozenset({"fork", "awaitable", "rpc_async", "rpc_sync", "rpc_remote", "print", "from_file", "save"})

ALLOWED = frozenset(f"{_TENSORS} {_LAYERS} {_LANGUAGE}".split()) - _REFUSED_WORDS


@functools.cache
def refused_operators() -> frozenset[str]:
    """The names of every operator that this torch can run and a network may not."""
    known = {schema.name.partition("::")[2] for schema in torch._C._jit_get_all_schemas()}
    return _REFUSED_WORDS | {name for name in known if name.removesuffix("_") not in ALLOWED and name not in ALLOWED}
