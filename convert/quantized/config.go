package quantized

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"qpt/internal/strictjson"
)

// config reads the keys of one object. The first error sticks; finish reports keys
// that nothing has read. Absent keys and null give the default.
type config struct {
	where string
	keys  map[string]json.RawMessage
	read  map[string]bool
	err   error
}

func newConfig(where string, data []byte) (*config, error) {
	c := &config{where: where, read: map[string]bool{}}
	if err := strictjson.Check(data); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", where, ErrInput, err)
	}
	if err := json.Unmarshal(data, &c.keys); err != nil || c.keys == nil {
		return nil, fmt.Errorf("%s: %w: must be a json object", where, ErrInput)
	}
	return c, nil
}

func (c *config) fail(kind error, key, format string, a ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %w: %.200s: %s", c.where, kind, key, fmt.Sprintf(format, a...))
	}
}

func (c *config) bad(key, format string, a ...any) { c.fail(ErrInput, key, format, a...) }
func (c *config) unsupported(key, format string, a ...any) {
	c.fail(ErrUnsupported, key, format, a...)
}

func (c *config) has(key string) bool {
	raw, ok := c.keys[key]
	return ok && string(raw) != "null"
}

func get[T any](c *config, key, kind string, def T) T {
	c.read[key] = true
	if !c.has(key) {
		return def
	}
	var v T
	if json.Unmarshal(c.keys[key], &v) != nil {
		c.bad(key, "%.60s is not %s", c.keys[key], kind)
		return def
	}
	return v
}

func (c *config) string(key, def string) string  { return get(c, key, "a string", def) }
func (c *config) bool(key string, def bool) bool { return get(c, key, "true or false", def) }
func (c *config) int(key string, def int) int    { return get(c, key, "an integer", def) }
func (c *config) list(key string) []string       { return get[[]string](c, key, "a list of strings", nil) }

// object is the object under key, an empty one if there is none.
func (c *config) object(key string) *config {
	return &config{where: c.where + ": " + key, keys: get[map[string]json.RawMessage](c, key, "an object", nil), read: map[string]bool{}}
}

// join takes over the error of a part of c.
func (c *config) join(part *config) {
	if c.err == nil {
		c.err = part.err
	}
}

// method is quant_method. Older configs of GPTQ and AWQ have none, beside tensors qweight, and MLX's never had.
func (c *config) method(qweight bool) string {
	name := strings.ToLower(c.string("quant_method", ""))
	switch {
	case name != "":
		return strings.TrimPrefix(strings.ReplaceAll(name, "auto_round", "auto-round"), "intel/")
	case qweight && (c.has("w_bit") || c.has("zero_point")):
		return "awq"
	case qweight:
		return "gptq"
	case c.has("load_in_4bit") || c.has("load_in_8bit"):
		return "bitsandbytes"
	case c.has("bits") && c.has("group_size"):
		return "mlx"
	case c.has("producer"): // hf_quant_config.json
		return strings.ToLower(c.producer())
	}
	c.bad("quant_method", "is missing, and no other key tells what quantized the checkpoint")
	return ""
}

// producer is the name of the tool that wrote the config.
func (c *config) producer() string {
	p := c.object("producer")
	name := p.string("name", "")
	c.join(p)
	return name
}

// inert marks keys without an effect on what is stored.
func (c *config) inert(keys string) {
	for _, key := range strings.Fields(keys) {
		c.read[key] = true
	}
}

// off demands that keys are absent, null, false, empty or zero.
func (c *config) off(why string, keys ...string) {
	for _, key := range keys {
		c.read[key] = true
		var v any
		if json.Unmarshal(c.keys[key], &v) != nil {
			continue // absent
		}
		on := v != nil && v != false && v != "" && v != 0.0
		switch v := v.(type) {
		case []any:
			on = len(v) > 0
		case map[string]any:
			on = len(v) > 0
		}
		if on {
			c.unsupported(key, "%.80s: %s", c.keys[key], why)
		}
	}
}

// finish reports the keys that were not read, in order.
func (c *config) finish() {
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(c.keys)) {
		if c.has(key) && !c.read[key] && !strings.HasPrefix(key, "_") {
			unknown = append(unknown, key)
		}
	}
	if unknown != nil {
		c.unsupported(strings.Join(unknown, ", "), "unknown key; it may change what the weights are; remove it from the file if you know that it does not")
	}
}

// entries are the keys of an object in the order of the file, where the first that matches counts.
func entries(raw json.RawMessage) (keys []string) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		var skip json.RawMessage
		if err != nil || d.Decode(&skip) != nil {
			return keys
		}
		name, _ := key.(string)
		keys = append(keys, name)
	}
	return keys
}

// pattern compiles a regular expression of Python that is matched against the beginning of a name.
func (c *config) pattern(key, text string) *regexp2.Regexp {
	re, err := regexp2.Compile(`\A(?:`+text+`)`, regexp2.None)
	if err != nil || len(text) > 4096 {
		c.bad(key, "%.100q is no regular expression", text)
		return nil
	}
	re.MatchTimeout = time.Second
	return re
}

// matches says whether re fits a name; one that takes too long is an error.
func (c *config) matches(key string, re *regexp2.Regexp, name string) bool {
	if re == nil {
		return false
	}
	ok, err := re.MatchString(name)
	if err != nil {
		c.bad(key, "%.100q takes too long on %.100q", re.String(), name)
	}
	return ok
}
