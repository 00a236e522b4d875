package gguf

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// arch is what is known of one general.architecture.
type arch struct {
	family string            // model_type of the config
	layer  map[string]string // names of a layer's tensors that are not the usual ones; "" takes a usual one away

	layers   string // what names of a layer's tensors begin with, "" for the usual
	permuted bool   // rows of q and k are in the order in which neighbours rotate
	byHead   bool   // the model's attn_qkv has q, k and v of each key head together, the file those of all heads
	natural  bool   // the model's own matrices are [K, N], the file's [N, K]
	plusOne  bool   // norms multiply with 1 + w, and the file has 1 + w
	latent   bool   // attention of DeepSeek, whose widths have keys of their own
	encoder  bool   // each token sees all of its text

	// build adds to the keys that most have.
	build func(m *model, c config, list map[string]*region)
}

// config is config.json.
type config map[string]any

// archs are the architectures that are read. Names of tensors: TENSOR_NAMES of gguf-py.
var archs = map[string]*arch{
	"llama":         {family: "llama", permuted: true, build: llama},
	"qwen2":         {family: "qwen2"},
	"qwen3":         {family: "qwen3", layer: headNorms},
	"qwen2moe":      {family: "qwen2_moe", layer: join(experts, sharedExpert), build: qwenMoE},
	"qwen3moe":      {family: "qwen3_moe", layer: join(headNorms, experts), build: qwenMoE},
	"gemma":         {family: "gemma", plusOne: true},
	"gemma2":        {family: "gemma2", plusOne: true, layer: fourNorms, build: gemma2},
	"gemma3":        {family: "gemma3_text", plusOne: true, layer: join(fourNorms, headNorms), build: gemma3},
	"phi3":          {family: "phi3", layer: map[string]string{"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}, build: phi3},
	"olmo2":         {family: "olmo2", layer: join(headNorms, normsAfter), build: olmo2},
	"granite":       {family: "granite", permuted: true, build: granite},
	"smollm3":       {family: "smollm3", permuted: true},
	"starcoder2":    {family: "starcoder2", layer: map[string]string{"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}, build: starcoder2},
	"command-r":     {family: "cohere", layer: headNorms, build: cohere},
	"cohere2":       {family: "cohere2", build: cohere},
	"olmo":          {family: "olmo", permuted: true, build: olmo},
	"olmoe":         {family: "olmoe", layer: join(headNorms, experts), build: olmoe},
	"stablelm":      {family: "stablelm", layer: map[string]string{"attn_q_norm": "self_attn.q_layernorm.norms.{e}", "attn_k_norm": "self_attn.k_layernorm.norms.{e}"}, build: stablelm},
	"phi2":          {family: "phi", layer: phiLayer, build: phi2},
	"gptneox":       {family: "gpt_neox", layers: "gpt_neox.layers.", layer: neoxLayer, byHead: true, build: gptneox},
	"gpt2":          {family: "gpt2", layers: "transformer.h.", layer: gpt2Layer, natural: true, build: gpt2},
	"bloom":         {family: "bloom", layers: "transformer.h.", layer: bloomLayer, byHead: true, build: bloom},
	"falcon":        {family: "falcon", layers: "transformer.h.", layer: falconLayer, byHead: true, build: falcon},
	"hunyuan-dense": {family: "hunyuan_v1_dense", layer: map[string]string{"attn_q_norm": "self_attn.query_layernorm", "attn_k_norm": "self_attn.key_layernorm"}},
	"exaone4":       {family: "exaone4", layer: join(headNorms, normsAfter), build: exaone4},
	"glm4":          {family: "glm4", layer: glm4Layer},
	"chatglm":       {family: "glm", layer: fusedGate},
	"granitemoe":    {family: "granitemoe", permuted: true, layer: graniteLayer, build: granitemoe},
	"gpt-oss":       {family: "gpt_oss", layer: ossLayer, build: gptoss},
	"arcee":         {family: "arcee", permuted: true, build: llama},
	"nemotron":      {family: "nemotron", plusOne: true, build: nemotron},
	"ernie4_5":      {family: "ernie4_5", build: ernie45},
	"seed_oss":      {family: "seed_oss", layer: map[string]string{"post_attention_norm": "post_attention_layernorm"}},
	"starcoder":     {family: "gpt_bigcode", layers: "transformer.h.", layer: gpt2Layer, build: gptBigCode},
	"dots1":         {family: "dots1", layer: join(headNorms, routed), build: dots1},
	"glm4moe":       {family: "glm4_moe", layer: join(headNorms, routed, glmMoELayer), build: glm4MoE},
	"deepseek2":     {family: "deepseek_v2", layer: latentLayer, latent: true, build: deepseek},

	"bert":            {family: "bert", layers: "bert.encoder.layer.", layer: bertLayer, encoder: true, build: bert},
	"nomic-bert":      {family: "nomic_bert", layers: "nomic_bert.encoder.layers.", layer: nomicLayer, encoder: true, build: nomicBERT},
	"modern-bert":     {family: "modernbert", layer: modernLayer, encoder: true, build: modernBERT},
	"gemma-embedding": {family: "gemma3_text", plusOne: true, layer: join(fourNorms, headNorms), build: gemmaEmbedding},
}

func archNames() []string { return slices.Sorted(maps.Keys(archs)) }

// usual are the names of most architectures.
var usual = map[string]string{
	"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
	"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
	"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}

var (
	headNorms    = map[string]string{"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
	fourNorms    = map[string]string{"post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
	normsAfter   = map[string]string{"post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
	experts      = map[string]string{"ffn_gate_inp": "mlp.gate", "ffn_gate_exps": "mlp.experts.{e}.gate_proj", "ffn_up_exps": "mlp.experts.{e}.up_proj", "ffn_down_exps": "mlp.experts.{e}.down_proj"}
	sharedExpert = map[string]string{"ffn_gate_inp_shexp": "mlp.shared_expert_gate", "ffn_gate_shexp": "mlp.shared_expert.gate_proj", "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj"}
	mixtral      = map[string]string{"ffn_gate_inp": "block_sparse_moe.gate", "ffn_gate_exps": "block_sparse_moe.experts.{e}.w1", "ffn_up_exps": "block_sparse_moe.experts.{e}.w3", "ffn_down_exps": "block_sparse_moe.experts.{e}.w2"}
)

// Names that say more: one that begins with "=" ends as it is, and its bias with "_bias". Stacks of experts in one tensor: "&OTHER NAME" has rows of
// this one and of OTHER in turns, "+OTHER NAME" those of this one and then those of OTHER, expert by expert; of heads, "|OTHER NAME" has the columns of this one
// and then the rows of OTHER.
var (
	fusedGate    = map[string]string{"ffn_up": "mlp.gate_up_proj"}
	phiLayer     = map[string]string{"output_norm": "model.final_layernorm", "attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}
	neoxLayer    = map[string]string{"token_embd": "gpt_neox.embed_in", "output_norm": "gpt_neox.final_layer_norm", "output": "embed_out", "attn_qkv": "attention.query_key_value", "attn_output": "attention.dense", "ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h"}
	gpt2Layer    = map[string]string{"token_embd": "transformer.wte", "position_embd": "transformer.wpe", "output_norm": "transformer.ln_f", "attn_norm": "ln_1", "ffn_norm": "ln_2", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}
	bloomLayer   = map[string]string{"token_embd": "transformer.word_embeddings", "token_embd_norm": "transformer.word_embeddings_layernorm", "output_norm": "transformer.ln_f", "attn_qkv": "self_attention.query_key_value", "attn_output": "self_attention.dense", "ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h"}
	falconLayer  = map[string]string{"token_embd": "transformer.word_embeddings", "output_norm": "transformer.ln_f", "attn_norm": "input_layernorm", "attn_qkv": "self_attention.query_key_value", "attn_output": "self_attention.dense", "ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h"}
	falconNorms  = map[string]string{"attn_norm": "ln_mlp", "attn_norm_2": "ln_attn"} // of those that have two
	glm4Layer    = map[string]string{"ffn_up": "mlp.gate_up_proj", "post_attention_norm": "post_self_attn_layernorm", "post_ffw_norm": "post_mlp_layernorm"}
	graniteLayer = map[string]string{"ffn_gate_inp": "block_sparse_moe.router.layer", "ffn_gate_exps": "+ffn_up_exps block_sparse_moe.input_linear", "ffn_down_exps": "block_sparse_moe.output_linear"}
	ossLayer     = map[string]string{"post_attention_norm": "post_attention_layernorm", "attn_sinks": "=self_attn.sinks", "ffn_gate_inp": "mlp.router", "ffn_gate_exps": "&ffn_up_exps =mlp.experts.gate_up_proj", "ffn_down_exps": "=mlp.experts.down_proj"}
	routed       = join(experts, map[string]string{"exp_probs_b": "=mlp.gate.e_score_correction",
		"ffn_gate_shexp": "mlp.shared_experts.gate_proj", "ffn_up_shexp": "mlp.shared_experts.up_proj", "ffn_down_shexp": "mlp.shared_experts.down_proj"})
	glmMoELayer = map[string]string{"ffn_norm": "", "post_attention_norm": "post_attention_layernorm", "nextn.eh_proj": "eh_proj", "nextn.embed_tokens": "embed_tokens", "nextn.enorm": "enorm", "nextn.hnorm": "hnorm",
		"nextn.shared_head_head": "shared_head.head", "nextn.shared_head_norm": "shared_head.norm"}
	latentLayer = join(routed, map[string]string{"attn_q_a": "self_attn.q_a_proj", "attn_q_a_norm": "self_attn.q_a_layernorm", "attn_q_b": "self_attn.q_b_proj", "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
		"attn_kv_a_norm": "self_attn.kv_a_layernorm", "attn_kv_b": "self_attn.kv_b_proj", "attn_k_b": "|attn_v_b self_attn.kv_b_proj"})
	bertLayer = map[string]string{"token_embd": "bert.embeddings.word_embeddings", "token_types": "bert.embeddings.token_type_embeddings", "position_embd": "bert.embeddings.position_embeddings",
		"token_embd_norm": "bert.embeddings.LayerNorm", "attn_q": "attention.self.query", "attn_k": "attention.self.key", "attn_v": "attention.self.value", "attn_output": "attention.output.dense",
		"attn_output_norm": "attention.output.LayerNorm", "ffn_up": "intermediate.dense", "ffn_down": "output.dense", "layer_output_norm": "output.LayerNorm"}
	distilLayer = map[string]string{"token_embd": "distilbert.embeddings.word_embeddings", "position_embd": "distilbert.embeddings.position_embeddings", "token_embd_norm": "distilbert.embeddings.LayerNorm",
		"attn_q": "attention.q_lin", "attn_k": "attention.k_lin", "attn_v": "attention.v_lin", "attn_output": "attention.out_lin", "attn_output_norm": "sa_layer_norm", "ffn_up": "ffn.lin1", "ffn_down": "ffn.lin2",
		"layer_output_norm": "output_layer_norm"}
	nomicLayer = map[string]string{"token_embd": "nomic_bert.embeddings.word_embeddings", "token_types": "nomic_bert.embeddings.token_type_embeddings", "token_embd_norm": "nomic_bert.emb_ln",
		"attn_qkv": "attn.Wqkv", "attn_output": "attn.out_proj", "attn_output_norm": "norm1", "ffn_up": "mlp.fc11", "ffn_gate": "mlp.fc12", "ffn_down": "mlp.fc2", "layer_output_norm": "norm2"}
	modernLayer = map[string]string{"token_embd": "model.embeddings.tok_embeddings", "token_embd_norm": "model.embeddings.norm", "output_norm": "model.final_norm", "attn_norm": "attn_norm", "attn_qkv": "attn.Wqkv",
		"attn_output": "attn.Wo", "ffn_norm": "mlp_norm", "ffn_up": "mlp.Wi", "ffn_down": "mlp.Wo"}
)

func join(all ...map[string]string) map[string]string {
	m := map[string]string{}
	for _, one := range all {
		maps.Copy(m, one)
	}
	return m
}

// inConfig are tensors that the config holds.
var inConfig = []string{"rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"}

// tops are the usual names of what is in no layer.
var tops = map[string]string{"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}

// tensor is the name of a tensor, without its ending, in the HuggingFace model, and what comes after its prefix; {e} stands for the expert.
func (a *arch) tensor(base string) (prefix, name string, ok bool) {
	key, names := base, tops
	if parts := blockName.FindStringSubmatch(base); parts != nil {
		key, prefix, names = parts[2], cmp.Or(a.layers, "model.layers.")+parts[1]+".", usual
	} else if !slices.Contains([]string{"token_embd_norm", "position_embd", "token_types"}, base) && tops[base] == "" {
		return "", "", false
	}
	if name, ok = a.layer[key]; !ok {
		name, ok = names[key]
	}
	return prefix, name, ok && name != ""
}

// rows is the order of the rows of a tensor, nil for that of the file: row t of a
// head of r is row 2i+j of it, t = j*r/2 + i (FORMATS: llama.cpp rotates neighbours).
func (a *arch) rows(m *model, base string) func(i int) int {
	if a.byHead && strings.HasSuffix(base, ".attn_qkv") {
		heads := m.meta.int(".attention.head_count", -1)
		kv, r := m.meta.int(".attention.head_count_kv", heads), m.headDim()
		group := heads / max(kv, 1)
		return func(i int) int {
			head, at, in := i/r/(group+2), i/r%(group+2), i%r // of the key heads; of its query heads, then k, then v
			switch at {
			case group:
				return (heads+head)*r + in
			case group + 1:
				return (heads+kv+head)*r + in
			}
			return (head*group+at)*r + in
		}
	}
	if !a.permuted || !strings.HasSuffix(base, ".attn_q") && !strings.HasSuffix(base, ".attn_k") {
		return nil
	}
	r := m.headDim()
	return func(i int) int {
		head, t := i/r*r, i%r
		return head + 2*(t%(r/2)) + t/(r/2)
	}
}

// headDim is the width of a head of q and k.
func (m *model) headDim() int {
	return m.meta.int(".attention.key_length", m.meta.int(".embedding_length", -1)/max(1, m.meta.int(".attention.head_count", -1)))
}

// config makes config.json.
func (m *model) config(list map[string]*region) error {
	k := m.meta
	table := list["token_embd.weight"]
	if table == nil || len(table.shape) != 2 {
		return fmt.Errorf("%w: it has no matrix token_embd.weight: it holds no whole model", ErrCorrupt)
	}
	c := config{
		"model_type": m.arch.family, "hidden_size": k.int(".embedding_length", -1), "num_hidden_layers": k.int(".block_count", -1),
		"num_attention_heads": k.int(".attention.head_count", -1), "max_position_embeddings": k.int(".context_length", -1),
		"rope_theta": k.float(".rope.freq_base", 10000), "tie_word_embeddings": list["output.weight"] == nil,
	}
	c["num_key_value_heads"] = k.int(".attention.head_count_kv", c["num_attention_heads"].(int))
	if n := k.int(".feed_forward_length", 0); n > 0 {
		c["intermediate_size"] = n
	}
	vocab := table.shape[0]
	c["vocab_size"] = vocab
	if !m.arch.latent {
		m.heads(c)
	}
	for _, eps := range [][2]string{{".attention.layer_norm_rms_epsilon", "rms_norm_eps"}, {".attention.layer_norm_epsilon", "layer_norm_eps"}} {
		if k.has(eps[0]) {
			c[eps[1]] = k.float(eps[0], 0)
		}
	}
	c["bos_token_id"], c["eos_token_id"], c["pad_token_id"] = nil, m.ends(vocab), nil
	if pad := k.id("tokenizer.ggml.padding_token_id", vocab); pad >= 0 {
		c["pad_token_id"] = pad
	}
	if bos := k.id("tokenizer.ggml.bos_token_id", vocab); bos >= 0 && k.bool("tokenizer.ggml.add_bos_token", true) {
		c["bos_token_id"] = bos
	}
	if list["blk.0.attn_q.bias"] != nil && !slices.Contains([]string{"qwen2", "qwen2_moe", "starcoder2", "stablelm", "phi", "glm", "glm4", "ernie4_5"}, m.arch.family) {
		c["attention_bias"] = true
	}
	m.ropeScaling(c, list)
	if m.arch.build != nil {
		m.arch.build(m, c, list)
	}
	if causal := k.bool(".attention.causal", true); !causal && !m.arch.encoder && c["use_bidirectional_attention"] != true {
		k.unsupported(k.arch+".attention.causal", "false: a decoder whose tokens see what follows them is not read: give the original checkpoint")
	}
	if at := k.int(".pooling_type", 0); at < len(poolings) {
		m.Pool = poolings[at]
	} else {
		k.unsupported(k.arch+".pooling_type", "%d; known: 0 none, 1 mean, 2 first, 3 last: give the original checkpoint", at)
	}
	if err := k.finish(); err != nil {
		return err
	}
	var err error
	m.Config, err = json.Marshal(c.reals())
	return err
}

// poolings are what becomes of the last values of a text's tokens, by .pooling_type.
var poolings = []string{"", "mean", "first", "last"}

// heads says how wide heads are, and how much of them rotates.
func (m *model) heads(c config) {
	k, head := m.meta, m.headDim()
	if head < 2 || head%2 != 0 {
		k.bad(".attention.key_length", "heads of %d values, must be even", head)
	}
	c["head_dim"] = head
	if v := k.int(".attention.value_length", head); v != head {
		k.unsupported(k.arch+".attention.value_length", "%d, keys have %d", v, head)
	}
	if n := k.int(".rope.dimension_count", head); n != head {
		c["partial_rotary_factor"] = float64(n) / float64(head)
	}
}

// reals writes floats as floats, also whole ones, which transformers demands: 30.0.
func (c config) reals() config {
	for key, v := range c {
		switch v := v.(type) {
		case float64:
			if v == math.Trunc(v) && math.Abs(v) < 1e15 {
				c[key] = json.RawMessage(strconv.FormatFloat(v, 'f', 1, 64))
			}
		case config:
			v.reals()
		}
	}
	return c
}

// endings are control tokens that end a turn, whatever the keys say.
var endings = []string{"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|END_OF_TURN_TOKEN|>"}

// ends are the tokens that end a text.
func (m *model) ends(vocab int) []int {
	list := []int{}
	add := func(id int) {
		if id >= 0 && id < vocab && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	for _, key := range []string{"eos", "eot", "eom"} {
		add(m.meta.id("tokenizer.ggml."+key+"_token_id", vocab))
	}
	types := m.meta.ints("tokenizer.ggml.token_type")
	for i, token := range m.meta.texts("tokenizer.ggml.tokens") {
		if i < len(types) && types[i] == tControl && slices.Contains(endings, token) {
			add(i)
		}
	}
	return list
}
