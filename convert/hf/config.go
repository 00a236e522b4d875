package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"qpt/internal/strictjson"
)

// config reads the keys of one JSON object. The first error sticks; finish
// reports keys that nothing has read. Absent keys and null give the default.
type config struct {
	where string // for messages: "config.json", "config.json: rope_scaling"
	keys  map[string]json.RawMessage
	read  map[string]bool
	err   error
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

// harmless lists keys that say nothing about the mathematics of inference:
// provenance, training, and defaults of generation.
var harmless = strings.Fields(`
	_name_or_path _from_model_config _attn_implementation_autoset _attn_implementation attn_implementation
	transformers_version transformers.js_config torch_dtype dtype use_cache tokenizer_class unsloth_version unsloth_fixed
	initializer_range attention_dropout use_bfloat16 torchscript finetuning_task task_specific_params problem_type id2label label2id
	output_attentions output_hidden_states output_scores return_dict return_dict_in_generate gradient_checkpointing
	pad_token_id sep_token_id cls_token_id decoder_start_token_id prefix
	forced_bos_token_id forced_eos_token_id bad_words_ids begin_suppress_tokens suppress_tokens
	max_length min_length max_new_tokens do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p
	typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size num_return_sequences
	exponential_decay_length_penalty remove_invalid_values
`)

// inert lists keys of every family that are harmless only at one value.
var inert = map[string]string{
	"is_encoder_decoder":          "false",
	"is_decoder":                  "false",
	"add_cross_attention":         "false",
	"cross_attention_hidden_size": "null",
	"tie_encoder_decoder":         "false",
	"chunk_size_feed_forward":     "0",
	"pruned_heads":                "{}",
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
		c.only(key, inert[key])
	}
	var unknown []string
	for key := range c.keys {
		if !c.read[key] && !slices.Contains(harmless, key) {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	if unknown != nil {
		hint := "it may change what the model computes; remove it from the file if you know that it does not"
		if slices.Contains(unknown, "quantization_config") {
			unknown, hint = []string{"quantization_config"}, "the checkpoint is quantized already; give the original one"
		} else if slices.Contains(unknown, "auto_map") {
			unknown, hint = []string{"auto_map"}, "the model runs code of its own"
		}
		c.unsupported(strings.Join(unknown, ", "), "unknown key; %s", hint)
	}
}
