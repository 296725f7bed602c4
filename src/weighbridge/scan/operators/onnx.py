"""Operators that ONNX and ONNX Runtime define themselves: pure functions on tensors, with no file, network or code.

Reviewed data. The names are those of the operator registries of onnx 1.23 and onnxruntime 1.32, without those that
hold a compiled program for an accelerator (`EPContext`, `Snpe`) or stand for a plug-in (`…_TRT`, `ATen`).
"""

BUILT_IN: dict[str, frozenset[str]] = {
    domain: frozenset(names.split())
    for domain, names in {
        "": """
            Abs Acos Acosh Add Affine AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention
            AveragePool BatchNormalization Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr
            BitwiseXor BlackmanWindow Cast CastLike CausalConvWithState Ceil Celu CenterCropPad Clip
            Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape Conv ConvInteger
            ConvTranspose Cos Cosh Crop CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det
            Div Dropout DynamicQuantizeLinear DynamicSlice Einsum Elu Equal Erf Exp Expand EyeLike
            Flatten Floor GRU GRUUnit Gather GatherElements GatherND Gelu Gemm GivenTensorFill
            GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
            GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If
            ImageDecoder ImageScaler InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization
            LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax Loop LpNormalization LpPool MatMul
            MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization
            MelWeightMatrix MemcpyFromHost MemcpyToHost Min Mish Mod Mul Multinomial Neg
            NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement
            OptionalHasElement Or PRelu Pad ParametricSoftplus Pow QLinearConv QLinearMatMul
            QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform
            RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
            ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize
            ReverseSequence RoiAlign RotaryEmbedding Round STFT Scale ScaledTanh Scan Scatter
            ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase
            SequenceInsert SequenceLength SequenceMap Shape Shrink Sigmoid Sign
            SimplifiedLayerNormalization Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss Softplus
            Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat StringNormalizer
            StringSplit Sub Sum SwiGLU Swish Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile
            TopK Transpose Trilu Unique Unsqueeze Upsample Where Xor
        """,
        "ai.onnx.ml": """
            ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer
            Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier
            SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
        """,
        "ai.onnx.preview": """
            FlexAttention
        """,
        "ai.onnx.preview.training": """
            Adagrad Adam Gradient Momentum
        """,
        "ai.onnx.training": """
            Adagrad Adam Gradient GraphCall Momentum
        """,
        "com.microsoft": """
            Attention AttnLSTM BeamSearch BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu
            BifurcationDetector BitmaskBiasDropout BitmaskDropout BranchwiseRMSNorm CDist
            CausalConvWithState ComplexMul ComplexMulConj ConvStateReplay ConvTransposeWithDynamicPads
            CropAndResize DecoderAttention DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention
            DequantizeBFP DequantizeLinear DequantizeWithOrder DynamicQuantizeLSTM DynamicQuantizeMatMul
            DynamicSparseAttention DynamicTimeWarping EmbedLayerNormalization EngramGate ExpandDims
            FastGelu FusedConv FusedGemm FusedMatMul FusedMatMulActivation GatedAdd GatedDeltaNet
            GatedDeltaNetStateReplay GatedRMSNorm GatedRelativePositionBias GatherBlockQuantized
            GatherND GatherPacked Gelu GemmFastGelu GemmFloat8 GemmaRotaryEmbedding GreedySearch
            GridSample GroupNorm GroupQueryAttention HyperConnectionLowRankMix HyperConnectionPostMix
            HyperConnectionPreMix Inverse Irfft IsAllFinite LinearAttention LinearAttentionGate
            LongformerAttention MRotaryEmbedding Mamba2Verify MatMulBlockQuantizedFp4Weight
            MatMulBlockQuantizedFp8Weight MatMulBnb4 MatMulFpQ4 MatMulInteger16 MatMulIntegerToFloat
            MatMulNBits MatMulNBitsMlp MatMulNBitsQLoRA MatMulNBitsQkv MatMulPacked MaxpoolWithMask MoE
            MoEGroupRouter MoEPacked MulInteger MultiHeadAttention MurmurHash3 NGramHashMapping
            NGramRepeatBlock NhwcConv NhwcFusedConv NhwcMaxPool PackedAttention PackedMultiHeadAttention
            PackedSparseAttentionIndexer PackedSparseAttentionIndexerMerge Pad PagedAttention QAttention
            QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv
            QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid
            QLinearSoftmax QLinearWhere QMoE QOrderedAttention QOrderedGelu QOrderedLayerNormalization
            QOrderedLongformerAttention QOrderedMatMul QuantizeBFP QuantizeLinear QuantizeWithOrder
            QuickGelu RMSNormRotary Range ReduceSumInteger RelativePositionBias RemovePadding
            RestorePadding Rfft RotaryEmbedding RouterGateUpProj SampleOp Sampling ScaledSiLU
            SkipGroupNorm SkipLayerNormalization SkipSimplifiedLayerNormalization SparseAttention
            SparseAttentionIndexer SparsePagedAttention SparseToDenseMatMul SpeculativePrefixCommit
            SwiGLU Tokenizer TorchEmbedding TransposeMatMul Trilu UnfoldTensor Unique
            VarlenCausalConvWithState VarlenNGramHashMapping WhisperBeamSearch WordConvEmbedding
        """,
        "com.microsoft.nchwc": """
            AveragePool Conv GlobalAveragePool GlobalMaxPool MaxPool ReorderInput ReorderOutput Upsample
        """,
        "com.ms.internal.nhwc": """
            AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool
            GlobalLpPool GlobalMaxPool GridSample InstanceNormalization LRN LpPool MaxPool MaxUnpool
            QLinearAveragePool QLinearConv QLinearConvTranspose Resize SpaceToDepth
        """,
    }.items()
}
"""Domain → operators; the domain `""` is ONNX's own."""

OPAQUE = frozenset({("com.microsoft", "EPContext"), ("com.microsoft", "Snpe")})
"""Operators whose work is a compiled program inside an attribute, or in a file that an attribute names."""

PYTHON = frozenset(
    {
        "PyOp",
        "PyCustomOp",
        "PyFunc",
        "PyFuncStateless",
        "EagerPyFunc",
        "PythonOp",
        "PythonOpGrad",
        "PyFunction",
        "PythonFunction",
    }
)
"""Operators, in whatever domain, that call into Python."""

THIRD_PARTY = frozenset(
    [
        "ai.graphcore",
        "ai.onnx.contrib",
        "ai.onnxruntime.contrib",
        "aten",
        "brevitas",
        "com.amd",
        "com.amd.quark",
        "com.intel",
        "com.intel.ai",
        "com.microsoft.extensions",
        "com.nvidia",
        "com.qti.aisw",
        "com.qualcomm",
        "com.ti",
        "com.xilinx",
        "finn.custom_op.fpgadataflow",
        "mmdeploy",
        "nvinfer",
        "onnx.brevitas",
        "org.openvinotoolkit",
        "org.pytorch.aten",
        "org.pytorch.prim",
        "pkg.onnxscript.torch_lib",
        "prim",
        "qonnx.custom_op.channels_last",
        "qonnx.custom_op.general",
        "quark",
        "quantized",
        "trt",
        "trt.plugins",
        "TRT",
        "TensorRT",
        "trtllm",
        "tensorrt",
        "tensorrt_llm",
        "tf2onnx",
        "torch_scatter",
        "torchvision",
        "vai_q_onnx",
    ]
)
"""Domains of well-known libraries and accelerators that bring operators of their own."""

NETWORK = frozenset(
    {
        "AzureAudioToText",
        "AzureTextToText",
        "AzureTritonInvoker",
        "OpenAIAudioToText",
    }
)
"""Operators of onnxruntime-extensions that send the model's input to an address that stands in the model."""
