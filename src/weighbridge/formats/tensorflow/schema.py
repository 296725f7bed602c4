"""The protobuf schema of TensorFlow's models, as a table: message → field number → (name, kind).

Taken from the `.proto` files of TensorFlow 2.21 (saved_model, meta_graph, graph, function, node_def, attr_value, tensor,
op_def, saver, struct, saved_object_graph, trackable_object_graph, tensor_bundle). A kind is `int` (varints, also packed),
`fixed4` or `fixed8` (also packed), `text`, `bytes`, or the message inside. `skip` marks messages that hold nothing but
notes for people. Names serve the text form. A map is a repeated message of a key (1) and a value (2).
"""

from collections.abc import Mapping

Fields = Mapping[int, tuple[str, str]]


def _map(key: str, value: str) -> Fields:
    return {1: ("key", key), 2: ("value", value)}


SCHEMA: Mapping[str, Fields] = {
    "SavedModel": {1: ("saved_model_schema_version", "int"), 2: ("meta_graphs", "MetaGraph")},
    "MetaGraph": {
        1: ("meta_info_def", "MetaInfo"), 2: ("graph_def", "Graph"), 3: ("saver_def", "Saver"),
        4: ("collection_def", "CollectionEntry"), 5: ("signature_def", "SignatureEntry"), 6: ("asset_file_def", "Asset"),
        7: ("object_graph_def", "Objects"),
    },
    "MetaInfo": {
        1: ("meta_graph_version", "text"), 2: ("stripped_op_list", "OpList"), 3: ("any_info", "skip"), 4: ("tags", "text"),
        5: ("tensorflow_version", "text"), 6: ("tensorflow_git_version", "text"), 7: ("stripped_default_attrs", "int"),
        8: ("function_aliases", "TextEntry"),
    },
    "TextEntry": _map("text", "text"),
    "OpList": {1: ("op", "OpDef")},
    "OpDef": {
        1: ("name", "text"), 2: ("input_arg", "Arg"), 3: ("output_arg", "Arg"), 4: ("attr", "skip"), 5: ("summary", "text"),
        6: ("description", "text"), 8: ("deprecation", "skip"), 16: ("is_aggregate", "int"), 17: ("is_stateful", "int"),
        18: ("is_commutative", "int"), 19: ("allows_uninitialized_input", "int"), 20: ("control_output", "text"),
        21: ("is_distributed_communication", "int"),
    },
    "Arg": {
        1: ("name", "text"), 2: ("description", "text"), 3: ("type", "int"), 4: ("type_attr", "text"), 5: ("number_attr", "text"),
        6: ("type_list_attr", "text"), 7: ("handle_data", "skip"), 16: ("is_ref", "int"), 17: ("experimental_full_type", "skip"),
    },
    "Saver": {
        1: ("filename_tensor_name", "text"), 2: ("save_tensor_name", "text"), 3: ("restore_op_name", "text"),
        4: ("max_to_keep", "int"), 5: ("sharded", "int"), 6: ("keep_checkpoint_every_n_hours", "fixed4"), 7: ("version", "int"),
    },
    "CollectionEntry": _map("text", "Collection"),
    "Collection": {
        1: ("node_list", "TextList"), 2: ("bytes_list", "BytesList"), 3: ("int64_list", "IntList"), 4: ("float_list", "FloatList"),
        5: ("any_list", "skip"),
    },
    "TextList": {1: ("value", "text")},
    "BytesList": {1: ("value", "bytes")},
    "IntList": {1: ("value", "int")},
    "FloatList": {1: ("value", "fixed4")},
    "SignatureEntry": _map("text", "Signature"),
    "Signature": {
        1: ("inputs", "InfoEntry"), 2: ("outputs", "InfoEntry"), 3: ("method_name", "text"), 4: ("defaults", "DefaultEntry"),
    },
    "InfoEntry": _map("text", "Info"),
    "DefaultEntry": _map("text", "Tensor"),
    "Info": {
        1: ("name", "text"), 2: ("dtype", "int"), 3: ("tensor_shape", "Shape"), 4: ("coo_sparse", "skip"),
        5: ("composite_tensor", "skip"),
    },
    "Asset": {1: ("tensor_info", "Info"), 2: ("filename", "text")},
    "Graph": {
        1: ("node", "Node"), 2: ("library", "Library"), 3: ("version", "int"), 4: ("versions", "Versions"),
        5: ("debug_info", "skip"),
    },
    "Versions": {1: ("producer", "int"), 2: ("min_consumer", "int"), 3: ("bad_consumers", "int")},
    "Library": {1: ("function", "Function"), 2: ("gradient", "Gradient"), 3: ("registered_gradients", "RegisteredGradient")},
    "Gradient": {1: ("function_name", "text"), 2: ("gradient_func", "text")},
    "RegisteredGradient": {1: ("gradient_func", "text"), 2: ("registered_op_type", "text")},
    "Function": {
        1: ("signature", "OpDef"), 3: ("node_def", "Node"), 4: ("ret", "TextEntry"), 5: ("attr", "AttrEntry"),
        6: ("control_ret", "TextEntry"), 7: ("arg_attr", "ArgAttrEntry"), 8: ("resource_arg_unique_id", "IntEntry"),
    },
    "ArgAttrEntry": _map("int", "ArgAttrs"),
    "ArgAttrs": {1: ("attr", "AttrEntry")},
    "IntEntry": _map("int", "int"),
    "Node": {
        1: ("name", "text"), 2: ("op", "text"), 3: ("input", "text"), 4: ("device", "text"), 5: ("attr", "AttrEntry"),
        6: ("experimental_debug_info", "skip"), 7: ("experimental_type", "skip"),
    },
    "AttrEntry": _map("text", "Attr"),
    "Attr": {
        1: ("list", "AttrList"), 2: ("s", "bytes"), 3: ("i", "int"), 4: ("f", "fixed4"), 5: ("b", "int"), 6: ("type", "int"),
        7: ("shape", "Shape"), 8: ("tensor", "Tensor"), 9: ("placeholder", "text"), 10: ("func", "Call"),
    },
    "AttrList": {
        2: ("s", "bytes"), 3: ("i", "int"), 4: ("f", "fixed4"), 5: ("b", "int"), 6: ("type", "int"), 7: ("shape", "Shape"),
        8: ("tensor", "Tensor"), 9: ("func", "Call"),
    },
    "Call": {1: ("name", "text"), 2: ("attr", "AttrEntry")},
    "Shape": {2: ("dim", "Dim"), 3: ("unknown_rank", "int")},
    "Dim": {1: ("size", "int"), 2: ("name", "text")},
    "Tensor": {
        1: ("dtype", "int"), 2: ("tensor_shape", "Shape"), 3: ("version_number", "int"), 4: ("tensor_content", "bytes"),
        5: ("float_val", "fixed4"), 6: ("double_val", "fixed8"), 7: ("int_val", "int"), 8: ("string_val", "bytes"),
        9: ("scomplex_val", "fixed4"), 10: ("int64_val", "int"), 11: ("bool_val", "int"), 12: ("dcomplex_val", "fixed8"),
        13: ("half_val", "int"), 14: ("resource_handle_val", "skip"), 15: ("variant_val", "skip"), 16: ("uint32_val", "int"),
        17: ("uint64_val", "int"), 18: ("float8_val", "bytes"),
    },
    "Objects": {1: ("nodes", "Object"), 2: ("concrete_functions", "ConcreteEntry")},
    "ConcreteEntry": _map("text", "Concrete"),
    "Concrete": {
        2: ("bound_inputs", "int"), 3: ("canonicalized_input_signature", "skip"), 4: ("output_signature", "skip"),
    },
    "Object": {
        1: ("children", "Child"), 3: ("slot_variables", "skip"), 4: ("user_object", "UserObject"), 5: ("asset", "AssetIndex"),
        6: ("function", "SavedFunction"), 7: ("variable", "skip"), 8: ("bare_concrete_function", "skip"),
        9: ("constant", "Constant"), 10: ("resource", "skip"), 11: ("saveable_objects", "SaveableEntry"),
        12: ("captured_tensor", "Captured"), 13: ("registered_name", "text"), 14: ("serialized_user_proto", "skip"),
        15: ("dependencies", "Child"), 16: ("registered_saver", "text"),
    },
    "Child": {1: ("node_id", "int"), 2: ("local_name", "text")},
    "UserObject": {1: ("identifier", "text"), 2: ("version", "Versions"), 3: ("metadata", "text")},
    "AssetIndex": {1: ("asset_file_def_index", "int")},
    "SavedFunction": {1: ("concrete_functions", "text"), 2: ("function_spec", "skip")},
    "Constant": {1: ("operation", "text")},
    "Captured": {1: ("name", "text"), 2: ("concrete_function", "text")},
    "SaveableEntry": _map("text", "Saveable"),
    "Saveable": {2: ("save_function", "int"), 3: ("restore_function", "int")},
    "KerasMetadata": {1: ("nodes", "KerasNode")},
    "KerasNode": {
        2: ("node_id", "int"), 3: ("node_path", "text"), 4: ("identifier", "text"), 5: ("metadata", "bytes"),
        6: ("version", "Versions"),
    },
    "CheckpointState": {
        1: ("model_checkpoint_path", "text"), 2: ("all_model_checkpoint_paths", "text"),
        3: ("all_model_checkpoint_timestamps", "fixed8"), 4: ("last_preserved_timestamp", "fixed8"),
    },
    "BundleHeader": {1: ("num_shards", "int"), 2: ("endianness", "int"), 3: ("version", "Versions")},
    "BundleEntry": {
        1: ("dtype", "int"), 2: ("shape", "Shape"), 3: ("shard_id", "int"), 4: ("offset", "int"), 5: ("size", "int"),
        6: ("crc32c", "fixed4"), 7: ("slices", "skip"),
    },
}  # fmt: skip

PACKED = {"fixed4": 4, "fixed8": 8}

DTYPES: Mapping[int, tuple[str, int]] = {
    1: ("F32", 4), 2: ("F64", 8), 3: ("I32", 4), 4: ("U8", 1), 5: ("I16", 2), 6: ("I8", 1), 8: ("C64", 8), 9: ("I64", 8),
    10: ("BOOL", 1), 11: ("QI8", 1), 12: ("QU8", 1), 13: ("QI32", 4), 14: ("BF16", 2), 15: ("QI16", 2), 16: ("QU16", 2),
    17: ("U16", 2), 18: ("C128", 16), 19: ("F16", 2), 22: ("U32", 4), 23: ("U64", 8), 24: ("F8_E5M2", 1), 25: ("F8_E4M3", 1),
    29: ("I4", 1), 30: ("U4", 1),
}  # fmt: skip
"""Data type → (name, bytes of one item). Four-bit numbers take a byte each outside of checkpoints."""
STRING, RESOURCE, VARIANT = 7, 20, 21
KNOWN_TYPES = frozenset({*DTYPES, STRING, RESOURCE, VARIANT, 26, 27, 28, 31, 32, 33})

TYPE_NAMES: Mapping[str, int] = {
    "DT_INVALID": 0, "DT_FLOAT": 1, "DT_DOUBLE": 2, "DT_INT32": 3, "DT_UINT8": 4, "DT_INT16": 5, "DT_INT8": 6, "DT_STRING": 7,
    "DT_COMPLEX64": 8, "DT_INT64": 9, "DT_BOOL": 10, "DT_QINT8": 11, "DT_QUINT8": 12, "DT_QINT32": 13, "DT_BFLOAT16": 14,
    "DT_QINT16": 15, "DT_QUINT16": 16, "DT_UINT16": 17, "DT_COMPLEX128": 18, "DT_HALF": 19, "DT_RESOURCE": 20, "DT_VARIANT": 21,
    "DT_UINT32": 22, "DT_UINT64": 23, "DT_FLOAT8_E5M2": 24, "DT_FLOAT8_E4M3FN": 25, "DT_INT4": 29, "DT_UINT4": 30,
}  # fmt: skip
