package quantized

import (
	"strings"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openAWQ reads AutoAWQ's matrices of 4 bits, [N, K]. In the version gemm words lie along N, their columns in an order of their own:
//
//	qweight I32 [K, N/8]       column 8c+j is nibble awqNibble[j] of word c
//	qzeros  I32 [groups, N/8]  the same; absent without zero_point: zeros are 8
//	scales      [groups, N]
//
// in the version gemv along K, in plain order, and groups are padded:
//
//	qweight I32 [N, K/8], qzeros I32 [N, Z], scales [N, 8*Z]
//
// value = scale * (code - zero), exact in float32.
func openAWQ(o *opener) error {
	c := o.config
	c.autoRound()
	c.inert(`method meta modules_to_not_convert ignore lm_head desc_act sym true_sequential damp_percent pack_dtype fuse_max_seq_len do_fuse modules_to_fuse
		exllama_config quantizer static_groups dataset tokenizer block_name_to_quantize autoround_version quant_method q_backend`)
	if b := c.string("backend", "autoawq"); b != "autoawq" {
		c.unsupported("backend", "%.40q; only the layout of autoawq is read", b)
	}
	if d := c.object("dynamic"); len(d.keys) > 0 {
		c.unsupported("dynamic", "settings of single modules are not read for AWQ")
	}
	version := strings.ToLower(c.string("version", c.string("checkpoint_format", c.string("format", "gemm"))))
	c.inert("checkpoint_format format")
	return openAWQModules(o, version)
}

func openAWQModules(o *opener, version string) error {
	c := o.config
	switch version {
	case "gemm", "exllama", "ipex":
		version = "gemm"
	case "gemv":
	default:
		c.unsupported("version", "%.40q; gemm and gemv are read: save the model as gemm", version)
	}
	if bits := c.int("bits", c.int("w_bit", 4)); bits != 4 {
		c.unsupported("bits", "%d; AWQ of 4 bits is read", bits)
	}
	group := c.int("group_size", c.int("q_group_size", 128))
	c.inert("w_bit q_group_size")
	zeros := c.bool("zero_point", true)
	if c.err != nil {
		return c.err
	}
	for _, name := range o.modules(".qweight") {
		m := o.module(name)
		w := m.tensor(".qweight", 2, safetensors.I32)
		s := m.tensor(".scales", 2, scales...)
		var z *safetensors.Tensor
		if m.drop(".qzeros"); zeros {
			z = m.tensor(".qzeros", 2, safetensors.I32)
		}
		if m.has(".g_idx") {
			m.fail("it has g_idx, which AWQ does not: is quant_method right?")
		}
		if m.err != nil {
			return m.err
		}
		x := &stored.Codes{N: 8 * w.Shape[1], K: w.Shape[0], Bits: 4, Zero: awqZero, Zeros: zeros}
		if zeros {
			x.Zero = 0
		}
		if version == "gemv" {
			x.N, x.K = w.Shape[0], 8*w.Shape[1]
		}
		if x.Group, _ = m.groups(x.K, group); x.K%x.Group != 0 {
			m.fail("groups of %d do not divide %d inputs: is group_size right?", x.Group, x.K)
			return m.err
		}
		if version == "gemv" {
			m.awqGEMV(x, w, z, s)
		} else {
			m.awqGEMM(x, w, z, s, 0)
		}
		if err := m.add(x, "awq int4", w); err != nil {
			return err
		}
	}
	return nil
}

// awqNibble says which nibble of a word holds column j of 8.
var awqNibble = [8]int{0, 4, 1, 5, 2, 6, 3, 7}

// awqZero is the zero of files without zeros.
const awqZero = 8

// awqGEMM is a matrix packed along N; flip turns bits of codes and zeros over: 8 of signed ones.
func (m *module) awqGEMM(x *stored.Codes, w, z, s *safetensors.Tensor, flip uint8) {
	groups := x.Groups()
	m.shape(s, groups, x.N)
	if z != nil {
		m.shape(z, groups, (x.N+7)/8)
	}
	codes, zeros, scale := &columns{t: w}, &columns{t: z}, &columns{t: s}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		w0, w1 := r0/8, (r1+7)/8
		p, stride, err := codes.read(w0, w1)
		if err != nil {
			return err
		}
		sp, sstride, err := scale.read(r0, r1)
		if err != nil {
			return err
		}
		for i := range x.K {
			line, at := p[i*stride:], i
			for r := r0; r < r1; at, r = at+x.K, r+1 {
				b.Codes[at] = uint8(word(line, r/8-w0)>>(4*awqNibble[r%8]))&15 ^ flip
			}
		}
		for i := range b.Scale {
			b.Scale[i] = number(sp[i%groups*sstride:], i/groups, s.DType)
		}
		if z != nil {
			zp, zstride, err := zeros.read(w0, w1)
			if err != nil {
				return err
			}
			for i := range b.Zeros {
				r := r0 + i/groups
				b.Zeros[i] = uint8(word(zp[i%groups*zstride:], r/8-w0)>>(4*awqNibble[r%8]))&15 ^ flip
			}
			zeros.drop(w1)
		}
		codes.drop(w1)
		scale.drop(r1)
		return nonzero(x, r0, b)
	}
}

func (m *module) awqGEMV(x *stored.Codes, w, z, s *safetensors.Tensor) {
	groups := x.Groups()
	if m.shape(s, x.N, s.Shape[1]); s.Shape[1] < groups {
		m.fail("scales has %d columns, less than the %d groups", s.Shape[1], groups)
	}
	if z != nil {
		if m.shape(z, x.N, z.Shape[1]); 8*z.Shape[1] < groups {
			m.fail("qzeros has %d columns, less than one for 8 of the %d groups", z.Shape[1], groups)
		}
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		p, err := rows(w, r0, r1)
		if err != nil {
			return err
		}
		fields(b.Codes, p, 0, 4)
		if p, err = rows(s, r0, r1); err != nil {
			return err
		}
		for i := range b.Scale {
			b.Scale[i] = number(p, i/groups*s.Shape[1]+i%groups, s.DType)
		}
		if z != nil {
			if p, err = rows(z, r0, r1); err != nil {
				return err
			}
			for i := range b.Zeros {
				j := i % groups
				b.Zeros[i] = p[i/groups*4*z.Shape[1]+j/2] >> (4 * (j % 2)) & 15
			}
		}
		return nonzero(x, r0, b)
	}
}

// openAutoRound reads what AutoRound saves under its own name, in the layouts of GPTQ (v1) or AWQ (gemm).
func openAutoRound(o *opener) error {
	c := o.config
	c.autoRound()
	c.inert("dataset block_name_to_quantize desc_act damp_percent static_groups true_sequential lm_head quant_lm_head backend")
	layout := c.string("packing_format", "auto_round:auto_gptq")
	switch layout {
	case "auto_round:auto_gptq", "auto_round:gptq", "auto_gptq":
		return openGPTQModules(o)
	case "auto_round:auto_awq", "auto_round:awq", "auto_awq":
		c.inert("sym")
		return openAWQModules(o, "gemm")
	}
	c.unsupported("packing_format", "%.60q; auto_round:auto_gptq and auto_round:auto_awq are read: save the model in one of these", layout)
	return c.err
}

// autoRound reads what AutoRound tells of its work, also in configs of GPTQ and AWQ.
func (c *config) autoRound() {
	c.inert(`provider autoround_version amp batch_size data_type_ enable_minmax_tuning enable_norm_bias_tuning enable_quanted_input gradient_accumulate_steps iters lr
		low_gpu_mem_usage minmax_lr nsamples seqlen scale_dtype train_bs to_quant_block_names quant_block_list super_bits super_group_size enable_alg_ext act_group_size act_sym
		act_data_type act_dynamic supported_types static_attention_granularity static_kv_granularity`)
	c.off("inputs that are rotated, and keys and values in fewer bits, are not read", "rotation_configs", "static_kv_dtype", "static_attention_dtype")
	if t := c.string("data_type", "int"); t != "int" {
		c.unsupported("data_type", "%.40q; only int is read", t)
	}
	if b := c.int("act_bits", 16); b < 16 {
		c.unsupported("act_bits", "%d; only unquantized activations are read", b)
	}
}
