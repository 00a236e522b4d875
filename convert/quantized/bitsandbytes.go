package quantized

import (
	"encoding/json"
	"fmt"
	"strings"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/internal/strictjson"
)

// openBitsAndBytes reads matrices of bitsandbytes. 4 bits, in tables of 16 values:
//
//	weight U8 [N*K/2, 1]                          the flattened matrix, the first number in the HIGH bits; such bytes may be called BF16 or else
//	weight.quant_map F32 [16]
//	weight.absmax F32 [ceil(N*K/blocksize)]       scales; with double quantization U8, and then
//	                                              nested_quant_map[absmax[i]] * nested_absmax[i/nested_blocksize] + nested_offset
//	weight.quant_state.bitsandbytes__nf4 (fp4)    U8: a JSON text with the shape and the sizes of blocks
//
// 8 bits: weight I8 [N, K], SCB F32 [N], and value = (code * SCB) * (1/127), rounded twice.
func openBitsAndBytes(o *opener) error {
	c := o.config
	c.inert(`load_in_4bit load_in_8bit bnb_4bit_compute_dtype bnb_4bit_quant_type bnb_4bit_use_double_quant llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight
		llm_int8_skip_modules llm_int8_threshold bnb_4bit_quant_storage modules_to_not_convert quant_method`)
	for _, name := range o.modules(".SCB") {
		if err := o.bnb8(name); err != nil {
			return err
		}
	}
	for _, kind := range []string{"nf4", "fp4"} {
		suffix := ".weight.quant_state.bitsandbytes__" + kind
		for _, name := range o.modules(suffix) {
			if err := o.bnb4(name, kind, suffix); err != nil {
				return err
			}
		}
	}
	for _, name := range o.from.Names() {
		if strings.HasSuffix(name, ".weight.absmax") && !o.parts[name] {
			return fmt.Errorf("%w: %.200q has no quant_state beside it: bitsandbytes before 2024 did not save the shape: save the model again with a newer one", ErrUnsupported, name)
		}
	}
	return nil
}

// bnbState is the text of a quant_state.
type bnbState struct {
	QuantType       string  `json:"quant_type"`
	Blocksize       int     `json:"blocksize"`
	DType           string  `json:"dtype"`
	Shape           []int   `json:"shape"`
	NestedBlocksize int     `json:"nested_blocksize"`
	NestedDType     string  `json:"nested_dtype"`
	NestedOffset    float32 `json:"nested_offset"`
}

func (o *opener) bnb4(name, kind, suffix string) error {
	m := o.module(name)
	w := m.tensor(".weight", -1, safetensors.U8, safetensors.I8, safetensors.BF16, safetensors.F16, safetensors.F32) // bnb_4bit_quant_storage: bytes under another name
	table := m.tensor(".weight.quant_map", 1, safetensors.F32)
	absmax := m.tensor(".weight.absmax", 1, safetensors.F32, safetensors.U8)
	t := m.tensor(suffix, 1, safetensors.U8)
	if m.err != nil {
		return m.err
	}
	m.shape(table, 16)
	var s bnbState
	size := int(w.Size())
	text, err := bytesOf(t)
	if err == nil {
		err = strictjson.Check(text)
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	switch {
	case err != nil:
		m.fail("quant_state: %v", err)
	case s.QuantType != kind:
		m.fail("quant_state: quant_type is %.40q, must be %s", s.QuantType, kind)
	case len(s.Shape) != 2 || s.Shape[0] <= 0 || s.Shape[1] <= 0 || s.Shape[0] > 2*size/s.Shape[1] || (s.Shape[0]*s.Shape[1]+1)/2 > size || (s.Shape[0]*s.Shape[1]+1)/2 <= size-w.DType.Bits()/8:
		m.fail("quant_state: shape %v does not fit the %d bytes of weight", s.Shape, size)
	case s.Blocksize <= 0 || s.Blocksize%16 != 0:
		m.fail("quant_state: blocksize %d, must be a multiple of 16", s.Blocksize)
	}
	if m.err != nil {
		return m.err
	}
	n, k := s.Shape[0], s.Shape[1]
	m.shape(absmax, (n*k+s.Blocksize-1)/s.Blocksize)
	scale := absmax.ReadPart
	if absmax.DType == safetensors.U8 && m.err == nil {
		scale = m.nested(absmax, s)
	}
	x := &stored.Codes{N: n, K: k, Bits: 4, Group: gcd(s.Blocksize, k)}
	if m.err == nil {
		if x.Table, err = numbers(table); err != nil {
			return err
		}
		for i, v := range x.Table {
			if v-v != 0 {
				m.fail("quant_map: value %d is %v", i, v)
			}
		}
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		from := r0 * k / 2 // bytes hold numbers of two rows where k is odd
		p := make([]byte, (r1*k+1)/2-from)
		if err := readAt(w, p, from); err != nil {
			return err
		}
		for i := range b.Codes {
			at := r0*k + i
			b.Codes[i] = p[at/2-from] >> (4 - 4*(at%2)) & 15
		}
		first, groups := r0*k/s.Blocksize, x.Groups()
		blocks := make([]float32, (r1*k-1)/s.Blocksize+1-first)
		if err := scale(first, blocks); err != nil {
			return err
		}
		for i := range b.Scale {
			b.Scale[i] = blocks[((r0+i/groups)*k+i%groups*x.Group)/s.Blocksize-first]
		}
		return nil
	}
	return m.add(x, "bitsandbytes "+kind, w)
}

// nested reads scales from one on that are quantized themselves.
func (m *module) nested(absmax *safetensors.Tensor, s bnbState) func(from int, dst []float32) error {
	table := m.tensor(".weight.nested_quant_map", 1, safetensors.F32)
	outer := m.tensor(".weight.nested_absmax", 1, safetensors.F32)
	if m.err != nil {
		return nil
	}
	m.shape(table, 256)
	if s.NestedBlocksize <= 0 {
		m.fail("quant_state: nested_blocksize %d, must be positive", s.NestedBlocksize)
		return nil
	}
	m.shape(outer, (absmax.NumElems()+s.NestedBlocksize-1)/s.NestedBlocksize)
	values, err := numbers(table)
	if err != nil {
		m.err = err
	}
	big, err := numbers(outer)
	if err != nil {
		m.err = err
	}
	return func(from int, dst []float32) error {
		p := make([]byte, len(dst))
		err := readAt(absmax, p, from)
		for i, c := range p {
			dst[i] = float32(values[c]*big[(from+i)/s.NestedBlocksize]) + s.NestedOffset
		}
		return err
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (o *opener) bnb8(name string) error {
	m := o.module(name)
	w := m.tensor(".weight", 2, safetensors.I8)
	scb := m.tensor(".SCB", 1, safetensors.F32)
	if m.err == nil {
		m.shape(scb, w.Shape[0])
	}
	if m.has(".weight_format") {
		if t := m.tensor(".weight_format", -1, safetensors.U8); m.err == nil {
			if p, err := bytesOf(t); err != nil || len(p) != 1 || p[0] != 0 {
				m.unsupported("weight_format %v: tiled for a GPU; only 0, by rows, is read: save the model again", p)
			}
		}
	}
	if m.err != nil {
		return m.err
	}
	x := &stored.Codes{N: w.Shape[0], K: w.Shape[1], Bits: 8, Zero: 128, Factor: by127}
	x.Group = x.K
	x.Read = func(r0, r1 int, b *stored.Block) error {
		if err := signed(w, r0, r1, 8, b.Codes); err != nil {
			return err
		}
		return scb.ReadRows(r0, r1, b.Scale)
	}
	return m.add(x, "bitsandbytes int8", w)
}

// by127 is the factor that bitsandbytes multiplies with.
const by127 = float32(7.874015718698502e-3)
