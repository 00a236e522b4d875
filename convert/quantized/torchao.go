package quantized

import (
	"encoding/json"
	"fmt"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openTorchAO reads torchao's tensor classes as transformers saves them. Each weight M.weight is
//
//	M._weight_qdata [N, K]                I8, or F8_E4M3
//	M._weight_scale [N, groups]
//	M._weight_zero_point I8 [N, groups]   or none
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
		BlockSize  []int           `json:"block_size"`
		Activation json.RawMessage `json:"activation_quantization"`
		Kwargs     json.RawMessage `json:"act_quant_kwargs"`
	} `json:"_data"`
}

func (o *opener) torchAO(name string) error {
	m := o.module(name)
	var t torchAOTensor
	text, ok := o.from.Metadata()[name+".weight"]
	if !ok || json.Unmarshal([]byte(text), &t) != nil {
		m.fail("the metadata of the file do not say what it is: save the model again with torchao 0.14 or later as safetensors")
	}
	switch t.Type {
	case "Int8Tensor", "IntxUnpackedToInt8Tensor":
	case "Float8Tensor":
		return m.torchAOFloat8(t)
	default:
		m.unsupported("%.60q of torchao is not read; Int8Tensor, IntxUnpackedToInt8Tensor and Float8Tensor are", t.Type)
	}
	w := m.tensor("._weight_qdata", 2, safetensors.I8)
	scale := m.tensor("._weight_scale", 2, scales...)
	if m.err != nil {
		return m.err
	}
	x := &stored.Codes{N: w.Shape[0], K: w.Shape[1], Bits: 8, Zero: 128, Acts: t.acts()}
	size := x.K / scale.Shape[1]
	if b := t.Data.BlockSize; len(b) == 2 && b[0] == 1 {
		size = b[1]
	} else if len(b) > 0 {
		m.unsupported("blocks of %v; [1, N] are read", b)
	}
	x.Group, _ = m.groups(x.K, size)
	m.shape(scale, x.N, x.Groups())
	var zp *safetensors.Tensor
	if m.has("._weight_zero_point") && m.err == nil {
		zp = m.tensor("._weight_zero_point", 2, safetensors.I8)
		x.Zero, x.Zeros = 0, true
		if m.err == nil {
			m.shape(zp, x.N, x.Groups())
		}
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		if err := signed(w, r0, r1, b.Codes); err != nil {
			return err
		}
		if zp != nil {
			if err := signed(zp, r0, r1, b.Zeros); err != nil {
				return err
			}
		}
		if err := scale.ReadRows(r0, r1, b.Scale); err != nil {
			return err
		}
		return nonzero(x, r0, b)
	}
	return m.add(x, fmt.Sprintf("torchao %.40s", t.Type), w)
}

// acts is what becomes of inputs.
func (t *torchAOTensor) acts() stored.Acts {
	var name string
	switch json.Unmarshal(t.Data.Activation, &name); {
	case name == "int8_asym_per_token":
		return stored.Int8Asym
	case name == "int8_sym_per_token" || name == "" && len(t.Data.Kwargs) > 0 && string(t.Data.Kwargs) != "null":
		return stored.Int8PerToken
	}
	return stored.AsTheyAre
}

// torchAOFloat8 reads e4m3 with a scale a row, or one.
func (m *module) torchAOFloat8(t torchAOTensor) error {
	w := m.tensor("._weight_qdata", 2, safetensors.F8E4M3)
	scale := m.tensor("._weight_scale", -1, scales...)
	if m.err != nil {
		return m.err
	}
	s := &scheme{}
	if len(t.Data.Kwargs) > 0 && string(t.Data.Kwargs) != "null" {
		s.acts = stored.FP8PerToken
	}
	return m.fp8Matrix(s, w, scale)
}
