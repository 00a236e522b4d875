package quantized

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openTorchAO reads torchao's tensor classes as transformers saves them. Each weight M.weight is
//
//	M._weight_qdata [N, K]                I8, or F8_E4M3
//	M._weight_scale [N, groups]           or [1, 1]
//	M._weight_zero_point I8, as many      or none
//
// and the header's metadata says its class and what becomes of inputs. value = (code - zero) * scale.
func openTorchAO(o *opener) error {
	o.config.inert("include_input_output_embeddings modules_to_not_convert quant_type quant_type_kwargs untie_embedding_weights quant_method")
	for _, name := range o.modules("._weight_qdata") {
		if err := o.torchAO(name); err != nil {
			return err
		}
	}
	return nil
}

// torchAOTensor is the metadata of a weight.
type torchAOTensor struct {
	Type string `json:"_type"`
	Data struct {
		Block     json.RawMessage `json:"block_size"`
		BlockSize []int           `json:"-"` // that, if it is a list
		Swizzled  bool            `json:"is_swizzled_scales"`
		Elem      torchAOName     `json:"elem_dtype"`
		ActDType  torchAOName     `json:"activation_dtype"`
		Target    struct {
			Data string `json:"_data"` // int1 to int8
		} `json:"target_dtype"`
		Activation string `json:"activation_quantization"`
		Kwargs     *struct {
			Data struct {
				Granularity struct {
					Type string `json:"_type"`
				} `json:"granularity"`
				Mapping struct {
					Data string `json:"_data"`
				} `json:"mapping_type"`
				Reduce bool     `json:"reduce_range"`
				Low    *float64 `json:"hp_value_lb"`
				High   *float64 `json:"hp_value_ub"`
			} `json:"_data"`
		} `json:"act_quant_kwargs"`
	} `json:"_data"`
}

// torchAOName is a dtype.
type torchAOName struct {
	Data string `json:"_data"`
}

func (o *opener) torchAO(name string) error {
	m := o.module(name)
	var t torchAOTensor
	text, ok := o.from.Metadata()[name+".weight"]
	if !ok || json.Unmarshal([]byte(text), &t) != nil {
		m.fail("the metadata of the file do not say what it is: save the model again with torchao 0.14 or later as safetensors")
	}
	_ = json.Unmarshal(t.Data.Block, &t.Data.BlockSize)
	if m.has("._weight_act_pre_scale") {
		m.unsupported("it multiplies its inputs (act_pre_scale), which is not read: save the model without, or fold the scales into the layers before")
	}
	m.drop("._weight_act_per_tensor_scale") // NVFP4's of inputs, which are rounded once more while running
	switch t.Type {
	case "Int8Tensor", "IntxUnpackedToInt8Tensor":
	case "Float8Tensor":
		return m.torchAOFloat8(t)
	case "Int4Tensor":
		return m.torchAOInt4(t)
	case "MXTensor", "NVFP4Tensor":
		return m.torchAOFloats(t)
	case "Int4TilePackedTo4dTensor", "Int4PlainInt32Tensor", "Int4PreshuffledTensor", "IntxOpaqueTensor":
		m.unsupported("%s is in an order for one kernel: save the model as Int4Tensor (int4_packing_format plain) or IntxUnpackedToInt8Tensor", t.Type)
	default:
		m.unsupported("%.60q of torchao is not read; Int8Tensor, IntxUnpackedToInt8Tensor, Float8Tensor, Int4Tensor, MXTensor and NVFP4Tensor are", t.Type)
	}
	w := m.tensor("._weight_qdata", 2, safetensors.I8)
	scale := m.tensor("._weight_scale", 2, scales...)
	if m.err != nil {
		return m.err
	}
	bits := 8
	if n, err := strconv.Atoi(strings.TrimPrefix(t.Data.Target.Data, "int")); err == nil && n < 8 {
		bits = max(n, 2)
	}
	x := &stored.Codes{N: w.Shape[0], K: w.Shape[1], Bits: bits, Zero: 1 << (bits - 1), Acts: m.torchAOActs(&t, stored.Int8PerToken, stored.Int8PerPass)}
	if m.has("._weight_act_quant_scale") {
		m.unsupported("its inputs are rounded with a scale of the file (act_quant_scale), which is not read: quantize with dynamic activations, or weights alone")
	}
	size, rows := x.K/scale.Shape[1], x.N // inputs and rows of scales
	switch b := t.Data.BlockSize; {
	case slices.Equal(b, w.Shape):
		size, rows = x.K, 1
	case len(b) == 2 && b[0] == 1:
		size = b[1]
	case len(b) > 0:
		m.unsupported("blocks of %v; [1, inputs] and whole matrices are read", b)
	}
	x.Group, _ = m.groups(x.K, size)
	m.shape(scale, rows, x.Groups())
	var zp *safetensors.Tensor
	if m.has("._weight_zero_point") && m.err == nil {
		zp = m.tensor("._weight_zero_point", 2, safetensors.I8)
		x.Zero, x.Zeros = 0, true
		if m.err == nil {
			m.shape(zp, rows, x.Groups())
		}
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		if err := signed(w, r0, r1, x.Bits, b.Codes); err != nil {
			return err
		}
		if zp != nil {
			if err := signedZeros(zp, r0, r1, x.Bits, b.Zeros); err != nil {
				return err
			}
		}
		if err := putScales(scale, r0, b); err != nil {
			return err
		}
		return nonzero(x, r0, b)
	}
	return m.add(x, fmt.Sprintf("torchao %.40s", t.Type), w)
}

// torchAOActs is what becomes of inputs: rounded a row or all at once.
func (m *module) torchAOActs(t *torchAOTensor, row, pass stored.Acts) stored.Acts {
	k := t.Data.Kwargs
	switch {
	case t.Data.Activation == "int8_asym_per_token":
		return stored.Int8Asym
	case t.Data.Activation == "int8_sym_per_token":
		return stored.Int8PerToken
	case t.Data.Activation != "":
		m.unsupported("activation_quantization %.60q is not known", t.Data.Activation)
	case k == nil:
	case k.Data.Reduce || k.Data.Low != nil || k.Data.High != nil:
		m.unsupported("inputs rounded to a part of the range (reduce_range, hp_value_lb, hp_value_ub) are not supported")
	case k.Data.Granularity.Type == "PerTensor":
		return pass
	case k.Data.Granularity.Type != "PerRow":
		m.unsupported("inputs rounded %.60q are not known", k.Data.Granularity.Type)
	case k.Data.Mapping.Data == "ASYMMETRIC":
		return stored.Int8Asym
	default:
		return row
	}
	return stored.AsTheyAre
}

// torchAOFloat8 reads e4m3 with a scale a row, a block or a group, or one.
func (m *module) torchAOFloat8(t torchAOTensor) error {
	w := m.tensor("._weight_qdata", 2, safetensors.F8E4M3)
	scale := m.tensor("._weight_scale", -1, scales...)
	if m.err != nil {
		return m.err
	}
	s := &scheme{acts: m.torchAOActs(&t, stored.FP8PerToken, stored.FP8PerPass)}
	if b := t.Data.BlockSize; len(b) == 2 && b[1] > 0 && b[1] < w.Shape[1] {
		s.strategy, s.block = "block", b
	}
	return m.fp8Matrix(s, w, scale)
}
