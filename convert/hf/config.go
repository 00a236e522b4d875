package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
	"qpt/internal/strictjson"
)

// config reads the keys of one JSON object. The first error sticks; finish
// reports keys that nothing has read. Absent keys and null give the default.
type config struct {
	where string // for messages: "config.json", "config.json: rope_scaling"
	keys  map[string]json.RawMessage
	read  map[string]bool
	err   error
	notes []string

	preprocessor []byte       // preprocessor_config.json, nil if there is none
	image        *graph.Image // of it
	dir          string       // where the file lies, "": nowhere
	pool         string       // see ParsePooled
}

func newConfig(where string, data []byte) (*config, error) {
	c := &config{where: where, read: map[string]bool{}}
	if err := strictjson.Check(data); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", where, ErrConfig, err)
	}
	if err := json.Unmarshal(data, &c.keys); err != nil || c.keys == nil {
		return nil, fmt.Errorf("%s: %w: must be a json object", where, ErrConfig)
	}
	return c, nil
}

// bad and unsupported record an error about key unless there is one already.
func (c *config) bad(key, format string, a ...any) { c.fail(ErrConfig, key, format, a...) }
func (c *config) unsupported(key, format string, a ...any) {
	c.fail(ErrUnsupported, key, format, a...)
}

func (c *config) fail(kind error, key, format string, a ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %w: %s: %s", c.where, kind, key, fmt.Sprintf(format, a...))
	}
}

// get decodes key into a T; ok is false if it is absent, null or of another type (an error).
func get[T any](c *config, key, kind string) (v T, ok bool) {
	c.read[key] = true
	raw, present := c.keys[key]
	if !present || string(raw) == "null" {
		return v, false
	}
	if json.Unmarshal(raw, &v) != nil {
		c.bad(key, "%.60s is not %s", raw, kind)
		return v, false
	}
	return v, true
}

func (c *config) has(key string) bool {
	raw, ok := c.keys[key]
	return ok && string(raw) != "null"
}

// int returns an integer of at least least and at most most; def < 0 makes the key mandatory.
func (c *config) int(key string, def, least, most int) int {
	v, ok := get[int](c, key, "an integer")
	if !ok {
		if def < 0 {
			c.bad(key, "is missing")
		}
		return max(def, least) // sane even after an error
	}
	if v < least || v > most {
		c.bad(key, "%d is out of range %d to %d", v, least, most)
		return least
	}
	return v
}

// float returns a finite number; def NaN makes the key mandatory.
func (c *config) float(key string, def, least, most float64) float64 {
	v, ok := get[float64](c, key, "a number")
	if !ok {
		if math.IsNaN(def) {
			c.bad(key, "is missing")
		}
		return def
	}
	if v < least || v > most {
		c.bad(key, "%v is out of range %v to %v", v, least, most)
	}
	return v
}

func (c *config) bool(key string, def bool) bool {
	if v, ok := get[bool](c, key, "true or false"); ok {
		return v
	}
	return def
}

func (c *config) string(key, def string) string {
	if v, ok := get[string](c, key, "a string"); ok {
		return v
	}
	return def
}

// rename has a key count for another that is not there.
func (c *config) rename(from, to string) {
	if c.read[from] = true; c.has(from) && !c.has(to) {
		c.keys[to] = c.keys[from]
	}
}

// object returns the object under key, an empty one if absent or null.
func (c *config) object(key string) *config {
	sub := &config{where: c.where + ": " + key, read: map[string]bool{}}
	if raw, ok := get[json.RawMessage](c, key, "an object"); ok && json.Unmarshal(raw, &sub.keys) != nil {
		c.bad(key, "%.60s is not an object", raw)
	}
	return sub
}

// tokens reads bos_token_id and eos_token_id (a number or a list); absent keys
// give the defaults, null means none.
func (c *config) tokens(vocab, bos int, eos []int) (int, []int) {
	if _, ok := c.keys["bos_token_id"]; ok {
		if bos = -1; c.has("bos_token_id") {
			bos = c.int("bos_token_id", 0, 0, vocab-1)
		}
	}
	if _, ok := c.keys["eos_token_id"]; ok {
		eos = nil
		if strings.HasPrefix(string(c.keys["eos_token_id"]), "[") {
			eos, _ = get[[]int](c, "eos_token_id", "a list of integers")
			for _, id := range eos {
				if id < 0 || id >= vocab {
					c.bad("eos_token_id", "%d is out of range 0 to %d", id, vocab-1)
				}
			}
		} else if c.has("eos_token_id") {
			eos = []int{c.int("eos_token_id", 0, 0, vocab-1)}
		}
	}
	c.read["bos_token_id"], c.read["eos_token_id"] = true, true
	return bos, eos
}

// harmless lists keys without an effect on what a model computes: where it comes
// from, how it was trained, how fast code may run it, and defaults of
// generation, which the caller of Generate sets. Keys that begin with _ or end
// with _token_id or dropout say nothing either (bos and eos are read). spec/checkpoint.md.
var harmless = strings.Fields(`
	transformers_version transformers.js_config torch_dtype dtype use_cache tokenizer_class tokenizer_name tokenizer_type unsloth_version unsloth_fixed
	model_name name name_or_path base_model license language languages tags model_max_length max_sequence_length seq_length max_seq_len training_length
	initializer_range init_std embd_pdrop attn_pdrop resid_pdrop dropout attention_dropout hidden_dropout hidden_dropout_prob attention_probs_dropout_prob
	classifier_dropout layerdrop summary_dropout ffn_dropout activation_dropout use_bfloat16 torchscript finetuning_task task_specific_params tf_legacy_loss
	problem_type id2label label2id num_labels label_smoothing z_loss output_attentions output_hidden_states output_scores output_router_logits router_aux_loss_coef router_jitter_noise
	return_dict return_dict_in_generate gradient_checkpointing use_gradient_checkpointing use_unpad deterministic_flash_attn
	attn_implementation use_flash_attn use_flash_attention use_flash_attention_2 flash_attn flash_attention use_sdpa use_memory_efficient_attention
	use_xformers use_fused_rmsnorm use_fused_rotary use_fused_cross_entropy use_fused_swiglu use_fused_mlp fused_mlp fused_bias_fc fused_dropout_add_ln
	is_decoder is_llama_config onnx_export gguf compile neftune_noise_alpha prefix
	bad_words_ids begin_suppress_tokens suppress_tokens forced_decoder_ids stop_strings
	max_length min_length max_new_tokens min_new_tokens do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p min_p
	typical_p epsilon_cutoff eta_cutoff penalty_alpha repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size num_return_sequences
	exponential_decay_length_penalty remove_invalid_values cache_implementation
`)

// inert lists keys of every family that are harmless only at one value.
var inert = map[string]string{
	"is_encoder_decoder":          "false",
	"add_cross_attention":         "false",
	"cross_attention_hidden_size": "null",
	"tie_encoder_decoder":         "false",
	"chunk_size_feed_forward":     "0",
	"pruned_heads":                "{}",
	"is_causal":                   "true",
	"use_sliding_window":          "false",
	"use_bidirectional_attention": "false",
}

// only demands that key, if present and not null, has the given JSON value.
func (c *config) only(key, want string) {
	c.read[key] = true
	if c.has(key) && string(c.keys[key]) != want {
		c.unsupported(key, "%.60s; only %s is supported", c.keys[key], want)
	}
}

// finish reports the keys that were not read, in order.
func (c *config) finish() {
	for _, key := range slices.Sorted(maps.Keys(inert)) { // sorted: the same error every time
		if !c.read[key] { // the family knows better
			c.only(key, inert[key])
		}
	}
	var unknown []string
	for key := range c.keys {
		if c.has(key) && !c.read[key] && !slices.Contains(harmless, key) && !strings.HasPrefix(key, "_") && !strings.HasSuffix(key, "_token_id") && !strings.HasSuffix(key, "dropout") {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	if unknown != nil {
		c.unsupported(strings.Join(unknown, ", "), "unknown key; it may change what the model computes; remove it from the file if you know that it does not")
	}
}

// quantization is the object that says how the checkpoint is quantized, and its key. MLX writes a copy under quantization_config.
func (c *config) quantization() (object []byte, key string) {
	for _, k := range []string{"quantization", "compression_config", "quantization_config"} {
		if c.read[k] = true; c.has(k) {
			object, key = c.keys[k], k
		}
	}
	return object, key
}

// note tells about a key that is not acted upon.
func (c *config) note(format string, a ...any) {
	c.notes = append(c.notes, c.where+": "+fmt.Sprintf(format, a...))
}
