package gguf

import "math"

// ropeScaling reads the keys of scaled positions, and the tensor that has
// Llama 3.1's: divisors of the frequencies, as which config.json can say them.
func (m *model) ropeScaling(c config, list map[string]*region) {
	k := m.meta
	positions := c["max_position_embeddings"].(int)
	if t := list["rope_freqs.weight"]; t != nil {
		if divisors := m.vector(t); divisors != nil {
			c["rope_scaling"] = config{"rope_type": "longrope", "short_factor": divisors, "long_factor": divisors, "factor": 1.0, "attention_factor": 1.0, "original_max_position_embeddings": positions}
		}
		k.text(".rope.scaling.type", "")
		return
	}
	kind := k.text(".rope.scaling.type", "none")
	factor := k.float(".rope.scaling.factor", k.float(".rope.scale_linear", 1))
	if kind == "none" && factor != 1 {
		kind = "linear"
	}
	original := k.int(".rope.scaling.original_context_length", positions)
	attn := k.float(".rope.scaling.attn_factor", 1)
	short, long := list["rope_factors_short.weight"], list["rope_factors_long.weight"]
	if short != nil || long != nil {
		kind = "longrope"
	}
	switch kind {
	case "none":
	case "linear":
		if factor != 1 {
			c["rope_scaling"] = config{"rope_type": "linear", "factor": factor}
		}
	case "yarn":
		if attn != 1 {
			k.unsupported(k.arch+".rope.scaling.attn_factor", "%v; only 1 is read with yarn", attn)
		}
		s := config{"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
		for key, name := range map[string]string{".rope.scaling.yarn_beta_fast": "beta_fast", ".rope.scaling.yarn_beta_slow": "beta_slow"} {
			if k.has(key) {
				s[name] = k.float(key, 0)
			}
		}
		if m.arch.latent && k.has(".rope.scaling.yarn_log_multiplier") { // a tenth of what the files' models have twice
			all := math.Round(1e7*k.float(".rope.scaling.yarn_log_multiplier", 0)) / 1e6
			s["mscale"], s["mscale_all_dim"] = all, all
		}
		c["rope_scaling"] = s
	case "longrope":
		if short == nil || long == nil {
			k.unsupported(k.arch+".rope.scaling.type", "longrope without the tensors rope_factors_short.weight and rope_factors_long.weight, so that the frequencies are not known")
			return
		}
		c["original_max_position_embeddings"] = original
		c["rope_scaling"] = config{"rope_type": "longrope", "short_factor": m.vector(short), "long_factor": m.vector(long), "attention_factor": attn, "original_max_position_embeddings": original}
	default:
		k.unsupported(k.arch+".rope.scaling.type", "%q; known: none, linear, yarn, longrope", kind)
	}
}

// vector reads a vector of F32.
func (m *model) vector(t *region) []float32 {
	if len(t.shape) != 1 || t.kind.numbers == nil || t.shape[0] > 1<<16 {
		m.meta.bad(t.name, "%s %v must be a vector of F32", t.kind.name, t.shape)
		return nil
	}
	v := make([]float32, t.shape[0])
	if err := t.tensor("", t.shape, 0, nil).ReadPart(0, v); err != nil {
		m.meta.bad(t.name, "%v", err)
		return nil
	}
	for _, x := range v {
		if !(x > 0 && x <= math.MaxFloat32) {
			m.meta.bad(t.name, "%v must be positive", x)
			return nil
		}
	}
	return v
}

// llama: with experts it is Mixtral.
func llama(m *model, c config, list map[string]*region) {
	if n := m.meta.int(".expert_count", 0); n > 0 {
		a := *m.arch
		a.family, a.layer, m.arch = "mixtral", mixtral, &a
		c["model_type"] = a.family
		m.experts(c, "num_local_experts")
		c["sliding_window"] = nil
	}
	if list["blk.0.ffn_down.bias"] != nil {
		c["mlp_bias"] = true
	}
}

// experts says how many there are, by the family's name for that, and how many a token takes.
func (m *model) experts(c config, name string) {
	c[name], c["num_experts_per_tok"] = m.meta.int(".expert_count", -1), m.meta.int(".expert_used_count", -1)
}

func qwenMoE(m *model, c config, _ map[string]*region) {
	k := m.meta
	m.experts(c, "num_experts")
	c["moe_intermediate_size"] = k.int(".expert_feed_forward_length", -1)
	c["norm_topk_prob"] = m.arch.family == "qwen3_moe" // as llama.cpp does for the one and not the other
	if m.arch.family == "qwen2_moe" {
		c["shared_expert_intermediate_size"] = k.int(".expert_shared_feed_forward_length", -1)
	}
}

// scalar is query_pre_attn_scalar: the head's width, but in the 27B models that of a head of the hidden values.
func (m *model) scalar(c config, layers27B int) {
	c["query_pre_attn_scalar"] = m.headDim()
	if c["num_hidden_layers"] == layers27B {
		c["query_pre_attn_scalar"] = c["hidden_size"].(int) / c["num_attention_heads"].(int)
	}
}

func gemma2(m *model, c config, _ map[string]*region) {
	k := m.meta
	c["attn_logit_softcapping"], c["final_logit_softcapping"] = k.float(".attn_logit_softcapping", 50), k.float(".final_logit_softcapping", 30)
	c["sliding_window"] = k.int(".attention.sliding_window", 4096)
	m.scalar(c, 46)
}

func gemma3(m *model, c config, _ map[string]*region) {
	k := m.meta
	c["sliding_window"] = k.int(".attention.sliding_window", -1)
	c["rope_local_base_freq"] = k.float(".rope.freq_base_swa", 10000)
	if k.has(".final_logit_softcapping") {
		c["final_logit_softcapping"] = k.float(".final_logit_softcapping", 0)
	}
	if k.has(".attention.sliding_window_pattern") {
		c["sliding_window_pattern"] = k.int(".attention.sliding_window_pattern", 6)
	}
	m.scalar(c, 62)
}

func phi3(m *model, c config, _ map[string]*region) {
	c["sliding_window"] = nil
	if w := m.meta.int(".attention.sliding_window", 0); w > 0 {
		c["sliding_window"] = w
	}
}

func granite(m *model, c config, _ map[string]*region) {
	k := m.meta
	c["embedding_multiplier"], c["residual_multiplier"] = k.float(".embedding_scale", 1), k.float(".residual_scale", 1)
	c["attention_multiplier"], c["logits_scaling"] = k.float(".attention.scale", 1), k.float(".logit_scale", 1)
}

func starcoder2(m *model, c config, list map[string]*region) {
	c["norm_epsilon"], c["use_bias"] = c["layer_norm_eps"], list["blk.0.attn_q.bias"] != nil
	delete(c, "layer_norm_eps")
	c["sliding_window"] = nil
	if w := m.meta.int(".attention.sliding_window", 0); w > 0 {
		c["sliding_window"] = w
	}
}

func cohere(m *model, c config, list map[string]*region) {
	k := m.meta
	c["logit_scale"] = k.float(".logit_scale", 0.0625)
	if m.arch.family == "cohere2" {
		c["sliding_window"] = k.int(".attention.sliding_window", 4096)
	} else if list["blk.0.attn_q_norm.weight"] != nil {
		c["use_qk_norm"] = true
	}
}

// rename gives keys of the config the names that the family has for them.
func (c config) rename(names ...string) {
	for i := 0; i < len(names); i += 2 {
		if v, ok := c[names[i]]; ok {
			delete(c, names[i])
			if names[i+1] != "" {
				c[names[i+1]] = v
			}
		}
	}
}

// rotateAll says that all of a head rotates where the file says of no part, for families that would take a part.
func (c config) rotateAll() {
	if _, ok := c["partial_rotary_factor"]; !ok {
		c["partial_rotary_factor"] = 1.0
	}
}

func olmo(m *model, c config, _ map[string]*region) {
	c.rename("layer_norm_eps", "")
	if m.meta.has(".attention.clamp_kqv") {
		c["clip_qkv"] = m.meta.float(".attention.clamp_kqv", 0)
	}
}

func stablelm(m *model, c config, list map[string]*region) {
	c["use_parallel_residual"] = m.meta.bool(".use_parallel_residual", false)
	c["use_qkv_bias"], c["qk_layernorm"] = list["blk.0.attn_q.bias"] != nil, list["blk.0.attn_q_norm.weight"] != nil
	c.rotateAll()
}

func phi2(_ *model, c config, _ map[string]*region) {
	c.rotateAll()
	c.rename("head_dim", "")
}

func gptneox(m *model, c config, _ map[string]*region) {
	c["use_parallel_residual"] = m.meta.bool(".use_parallel_residual", true)
	c.rotateAll()
	c.rename("head_dim", "", "num_key_value_heads", "")
}

func gpt2(m *model, c config, _ map[string]*region) {
	c.rename("hidden_size", "n_embd", "num_hidden_layers", "n_layer", "num_attention_heads", "n_head", "max_position_embeddings", "n_positions", "intermediate_size", "n_inner",
		"layer_norm_eps", "layer_norm_epsilon", "head_dim", "", "num_key_value_heads", "", "rope_theta", "")
}

func bloom(m *model, c config, _ map[string]*region) {
	c.rename("num_hidden_layers", "n_layer", "num_attention_heads", "n_head", "max_position_embeddings", "seq_length", "layer_norm_eps", "layer_norm_epsilon",
		"intermediate_size", "", "head_dim", "", "num_key_value_heads", "", "rope_theta", "")
}

// falcon: 7B, with one key head, or 11B and 40B, with more and one or two norms.
func falcon(m *model, c config, list map[string]*region) {
	if layout := m.meta.text(".tensor_data_layout", ""); layout != "jploski" {
		m.meta.unsupported("falcon.tensor_data_layout", "%q; only jploski is read: convert the model anew", layout)
	}
	kv, norms := c["num_key_value_heads"].(int), 1
	if list["blk.0.attn_norm_2.weight"] != nil {
		a := *m.arch
		a.layer, m.arch, norms = join(falconLayer, falconNorms), &a, 2
	}
	c["new_decoder_architecture"], c["num_ln_in_parallel_attn"], c["num_kv_heads"] = kv > 1 || norms == 2, norms, kv
	c["multi_query"], c["bias"] = kv == 1, list["blk.0.attn_qkv.bias"] != nil
	c.rename("layer_norm_eps", "layer_norm_epsilon", "intermediate_size", "ffn_hidden_size", "num_key_value_heads", "", "head_dim", "")
}

func exaone4(m *model, c config, _ map[string]*region) {
	c["sliding_window"] = nil
	if w := m.meta.int(".attention.sliding_window", 0); w > 0 {
		c["sliding_window"] = w
		c.layerTypes(m, 4)
	}
}

// layerTypes says which layers have a window, by the key that has one for each or, without it, all but every n-th.
func (c config) layerTypes(m *model, n int) {
	var types []string
	pattern := m.meta.ints(".attention.sliding_window_pattern")
	layers := c["num_hidden_layers"].(int)
	if len(pattern) > 0 && len(pattern) != layers {
		m.meta.bad(".attention.sliding_window_pattern", "%d layers of %d", len(pattern), layers)
	}
	for l := range min(layers, 1<<16) {
		window := (l+1)%n != 0
		if l < len(pattern) {
			window = pattern[l] != 0
		}
		types = append(types, map[bool]string{true: "sliding_attention", false: "full_attention"}[window])
	}
	c["layer_types"] = types
}

func granitemoe(m *model, c config, list map[string]*region) {
	granite(m, c, list)
	m.experts(c, "num_local_experts")
}

func gptoss(m *model, c config, _ map[string]*region) {
	k := m.meta
	m.experts(c, "num_local_experts")
	c["intermediate_size"] = k.int(".expert_feed_forward_length", k.int(".feed_forward_length", -1))
	c["sliding_window"] = k.int(".attention.sliding_window", 128)
	c.layerTypes(m, 2)
	if s, ok := c["rope_scaling"].(config); ok {
		s["truncate"] = false
	} else {
		c["rope_scaling"] = config{"rope_type": "default"}
	}
}

func olmoe(m *model, c config, _ map[string]*region) {
	m.experts(c, "num_experts")
	c["norm_topk_prob"] = false
}

// deepseek: V2, or with a sigmoid for its router V3. Files of before mid 2025 have no split kv_b_proj, and name the widths of heads that go with that.
func deepseek(m *model, c config, list map[string]*region) {
	k := m.meta
	rope, rank := k.int(".rope.dimension_count", -1), k.int(".attention.kv_lora_rank", -1)
	width := k.int(".attention.key_length_mla", k.int(".attention.key_length", -1))
	c["qk_rope_head_dim"], c["qk_nope_head_dim"], c["kv_lora_rank"] = rope, width-rope, rank
	c["v_head_dim"] = k.int(".attention.value_length_mla", k.int(".attention.value_length", -1))
	c["q_lora_rank"] = nil
	if k.has(".attention.q_lora_rank") {
		c["q_lora_rank"] = k.int(".attention.q_lora_rank", -1)
	}
	c["num_key_value_heads"] = c["num_attention_heads"]
	if list["blk.0.attn_kv_a_mqa.bias"] != nil {
		c["attention_bias"] = true
	}
	gate := m.routed(c)
	if gate == sigmoidGate {
		a := *m.arch
		a.family, m.arch, c["model_type"], c["num_nextn_predict_layers"] = "deepseek_v3", &a, "deepseek_v3", 0
	} else if list["blk.0.ffn_down.bias"] != nil {
		c["mlp_bias"] = true
	}
}

// routed says which experts a token takes, and what is added to them, as DeepSeek's models and others do.
func (m *model) routed(c config) (gate int) {
	k := m.meta
	c["n_routed_experts"], c["num_experts_per_tok"] = k.int(".expert_count", -1), k.int(".expert_used_count", -1)
	c["n_shared_experts"], c["moe_intermediate_size"] = k.int(".expert_shared_count", 0), k.int(".expert_feed_forward_length", -1)
	c["first_k_dense_replace"], c["routed_scaling_factor"] = k.int(".leading_dense_block_count", 0), k.float(".expert_weights_scale", 1)
	k.int(".expert_shared_feed_forward_length", 0) // their product
	groups, top, normed := k.int(".expert_group_count", 0), k.int(".expert_group_used_count", 1), k.bool(".expert_weights_norm", false)
	switch gate = k.int(".expert_gating_func", softmaxGate); {
	case gate == softmaxGate && m.arch.latent:
		if groups > 1 {
			c["topk_method"], c["n_group"], c["topk_group"] = "group_limited_greedy", groups, top
		}
	case gate == sigmoidGate:
		if groups == 0 { // files of before the keys
			if groups, top = 1, 1; m.arch.latent && c["n_routed_experts"] == 256 { // V3, R1
				groups, top = 8, 4
			}
		}
		c["n_group"], c["topk_group"], c["norm_topk_prob"] = groups, top, normed
	default:
		k.unsupported(k.arch+".expert_gating_func", "%d of a %s model; known: 1 softmax, 2 sigmoid", gate, k.arch)
	}
	return gate
}

// Values of .expert_gating_func.
const (
	softmaxGate = 1
	sigmoidGate = 2
)

// ofEncoder takes away what encoders do not have.
func (c config) ofEncoder(kind string) {
	c["architectures"] = []string{kind}
	c["bos_token_id"], c["eos_token_id"] = nil, nil
	c.rename("head_dim", "", "num_key_value_heads", "", "attention_bias", "")
}

// kindsOf is the number of kinds of tokens, of a matrix that may be missing.
func kindsOf(list map[string]*region) int {
	if t := list["token_types.weight"]; t != nil {
		return t.shape[0]
	}
	return 0
}

// bert: BERT, or RoBERTa, whose table of positions begins in the file where texts do, or without kinds of tokens DistilBERT.
func bert(m *model, c config, list map[string]*region) {
	c.rename("rope_theta", "")
	c.ofEncoder("BertModel")
	if t := list["position_embd.weight"]; t != nil {
		c["max_position_embeddings"] = t.shape[0]
	}
	if kinds := kindsOf(list); kinds > 0 {
		c["type_vocab_size"] = kinds
		return
	}
	a := *m.arch
	a.family, a.layers, a.layer, m.arch = "distilbert", "distilbert.transformer.layer.", distilLayer, &a
	c["model_type"], c["architectures"] = a.family, []string{"DistilBertModel"}
	c.rename("hidden_size", "dim", "intermediate_size", "hidden_dim", "num_hidden_layers", "n_layers", "num_attention_heads", "n_heads", "layer_norm_eps", "")
}

func nomicBERT(_ *model, c config, list map[string]*region) {
	c.ofEncoder("NomicBertModel")
	if c["pad_token_id"] == nil { // which transformers does not take
		delete(c, "pad_token_id")
	}
	c["hidden_act"], c["type_vocab_size"] = "silu", kindsOf(list)
}

func modernBERT(m *model, c config, _ map[string]*region) {
	k := m.meta
	c.ofEncoder("ModernBertModel")
	c.rename("layer_norm_eps", "norm_eps", "rope_theta", "global_rope_theta")
	c["local_rope_theta"], c["local_attention"] = k.float(".rope.freq_base_swa", 10000), k.int(".attention.sliding_window", 128)
	c["global_attn_every_n_layers"] = k.int(".attention.sliding_window_pattern", 3)
}

func nemotron(m *model, c config, list map[string]*region) {
	c.rename("layer_norm_eps", "norm_eps")
	c.rotateAll()
	c["mlp_bias"] = list["blk.0.ffn_down.bias"] != nil
}

func ernie45(_ *model, c config, list map[string]*region) {
	c["use_bias"] = list["blk.0.attn_q.bias"] != nil
}

func gptBigCode(m *model, c config, list map[string]*region) {
	c["multi_query"] = c["num_key_value_heads"] == 1
	gpt2(m, c, list)
}

func dots1(m *model, c config, _ map[string]*region) {
	m.routed(c)
	c["sliding_window"] = nil
}

func glm4MoE(m *model, c config, list map[string]*region) {
	m.routed(c)
	more := m.meta.int(".nextn_predict_layers", 0)
	c["num_hidden_layers"], c["num_nextn_predict_layers"] = c["num_hidden_layers"].(int)-more, more
	c["use_qk_norm"] = list["blk.0.attn_q_norm.weight"] != nil
	c.rotateAll()
}

// olmo2: with windows it is OLMo 3, whose positions are scaled in full layers alone.
func olmo2(m *model, c config, _ map[string]*region) {
	w := m.meta.int(".attention.sliding_window", 0)
	if w == 0 {
		return
	}
	a := *m.arch
	a.family, m.arch, c["model_type"], c["sliding_window"] = "olmo3", &a, "olmo3", w
	c.layerTypes(m, 4)
	near, full := config{"rope_type": "default", "rope_theta": c["rope_theta"]}, config{"rope_type": "default"}
	if s, ok := c["rope_scaling"].(config); ok {
		full = s
	}
	full["rope_theta"] = c["rope_theta"]
	c["rope_parameters"] = config{"full_attention": full, "sliding_attention": near}
	c.rename("rope_theta", "", "rope_scaling", "")
}

// gemmaEmbedding: EmbeddingGemma, whose tokens see what follows.
func gemmaEmbedding(m *model, c config, list map[string]*region) {
	gemma3(m, c, list)
	c["use_bidirectional_attention"], c["architectures"] = true, []string{"Gemma3TextModel"}
}
