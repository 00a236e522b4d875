package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qpt/format/graph"
	"qpt/internal/strictjson"
)

// sentence is what sentence-transformers puts behind a model, as modules.json beside it says:
// pooling, dense layers, normalization. Without that file the zero value is what the library does:
// the mean of the tokens.
type sentence struct {
	modules    []stModule
	most       int    // tokens of a text: max_seq_length of sentence_bert_config.json or else model_max_length of the tokenizer's, 0: the model's
	activation string // of a CrossEncoder's logits, "" if config_sentence_transformers.json does not say
}

// stModule is one of modules.json: only one of its kinds is set, or none, which normalizes.
type stModule struct {
	path  string
	pool  []string // of graph.SequencePool, results side by side
	dense *dense
	norm  *norm
	in    int
}

func (s *sentence) given() bool { return s.modules != nil }

// weights are the folders of modules that have tensors.
func (s *sentence) weights() (list []string) {
	for _, m := range s.modules {
		if m.dense != nil || m.norm != nil {
			list = append(list, m.path)
		}
	}
	return list
}

// length is how many tokens a text may have.
func (s *sentence) length(positions int) int {
	if s.most > 0 {
		return min(s.most, positions)
	}
	return positions
}

// build makes the embedding of each text from the last hidden state.
func (s *sentence) build(b *builder, x string) {
	modules := s.modules
	if modules == nil {
		modules = []stModule{{path: "mean", pool: []string{"mean"}}}
	}
	width := b.hidden
	for i, m := range modules {
		as := m.path
		if i == len(modules)-1 {
			as = embedding
		}
		switch {
		case m.pool != nil:
			var list []string
			for _, f := range m.pool {
				name := as
				if len(m.pool) > 1 {
					name = m.path + "." + f
				}
				list = append(list, b.Node(name, graph.SequencePool{Func: f}, []string{x}))
			}
			if x = list[0]; len(list) > 1 {
				x = b.Node(as, graph.Concat{Axis: 1}, list)
			}
			width *= len(list)
		case m.norm != nil:
			x = b.normAs(as, m.norm, x, width)
		case m.dense == nil:
			x = b.Node(as, graph.L2Norm{Eps: 1e-12}, []string{x})
		case m.dense.act == "":
			d := m.dense
			b.Nodes(d.name, graph.Linear{}, []string{x}, []string{b.matrix(d.linear, d.n, width), b.vector(d.bias, nil, d.n)}, as)
			x, width = as, d.n
		default:
			x, width = b.dense(m.dense, x, width, as), m.dense.n
		}
	}
	b.Output(embedding, x)
}

// sentence is the pooling that was asked for, or what modules.json and what it names say, and how long a text may be.
func (c *config) sentence() (s sentence, err error) {
	if c.pool != "" {
		s.modules = []stModule{{path: c.pool, pool: []string{c.pool}}}
	}
	if c.dir == "" {
		return s, nil
	}
	if s, err = loadModules(c.dir); err == nil && s.most == 0 {
		s.most, err = tokenizerLength(c.dir)
	}
	return s, err
}

func loadModules(dir string) (s sentence, err error) {
	path := filepath.Join(dir, "modules.json")
	data, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	var list []struct{ Name, Path, Type string }
	if err := strictjson.Check(data); err != nil {
		return s, fmt.Errorf("%s: %w: %w", path, ErrConfig, err)
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list) == 0 {
		return s, fmt.Errorf("%s: %w: must be a list of modules", path, ErrConfig)
	}
	for i, m := range list {
		kind := m.Type[strings.LastIndexByte(m.Type, '.')+1:]
		if !strings.HasPrefix(m.Type, "sentence_transformers.") || (kind == "Transformer") != (i == 0) || m.Path != filepath.ToSlash(filepath.Clean(m.Path)) && m.Path != "" || strings.HasPrefix(m.Path, "..") || strings.HasPrefix(m.Path, "/") {
			return s, fmt.Errorf("%s: %w: module %d is %.100q in %.100q; known: Transformer, then Pooling, Dense, LayerNorm and Normalize", path, ErrUnsupported, i, m.Type, m.Path)
		}
		one := stModule{path: m.Path}
		if one.path == "" {
			one.path = m.Name
		}
		switch kind {
		case "Transformer":
			if m.Path != "" {
				return s, fmt.Errorf("%s: %w: the model lies in %.100q: give that folder's files beside modules.json", path, ErrUnsupported, m.Path)
			}
			if s.activation, err = sentenceConfig(dir); err != nil {
				return s, err
			}
			if s.most, err = maxLength(dir); err != nil {
				return s, err
			}
			continue
		case "Dropout": // of training
			continue
		case "Pooling":
			err = moduleConfig(dir, m.Path, one.pooling)
		case "Dense":
			err = moduleConfig(dir, m.Path, one.denseLayer)
		case "LayerNorm":
			err = moduleConfig(dir, m.Path, func(c *config) { one.in = c.int("dimension", -1, 1, maxWidth) })
			one.norm = &norm{name: one.path + ".norm", eps: 1e-5, bias: true}
		case "Normalize":
		default:
			err = fmt.Errorf("%s: %w: module %d is %.100q; known: Transformer, Pooling, Dense, LayerNorm, Normalize", path, ErrUnsupported, i, m.Type)
		}
		if err != nil {
			return s, err
		}
		s.modules = append(s.modules, one)
	}
	if len(list) == 1 { // the model alone, as a CrossEncoder is
		return s, nil
	}
	if len(s.modules) == 0 || s.modules[0].pool == nil || slices.ContainsFunc(s.modules[1:], func(m stModule) bool { return m.pool != nil }) {
		return s, fmt.Errorf("%s: %w: one module Pooling must follow the first; token embeddings alone are those of the model without modules.json", path, ErrUnsupported)
	}
	return s, nil
}

// moduleConfig reads config.json of a module.
func moduleConfig(dir, path string, read func(c *config)) error {
	where := filepath.Join(dir, path, "config.json")
	data, err := readFile(where)
	if err != nil {
		return err
	}
	c, err := newConfig(where, data)
	if err != nil {
		return err
	}
	read(c)
	c.finish()
	return c.err
}

// poolKeys are the older spelling of pooling_mode, one key for each, and what the library joins in this order.
var poolKeys = []poolKey{
	{"pooling_mode_cls_token", "cls", "first"}, {"pooling_mode_max_tokens", "max", "max"}, {"pooling_mode_mean_tokens", "mean", "mean"},
	{"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", "mean_sqrt"}, {"pooling_mode_weightedmean_tokens", "weightedmean", "weighted_mean"}, {"pooling_mode_lasttoken", "lasttoken", "last"},
}

type poolKey struct{ key, mode, op string }

func (m *stModule) pooling(c *config) {
	m.in = c.int("word_embedding_dimension", c.int("embedding_dimension", 0, 0, maxWidth), 0, maxWidth)
	var modes []string
	if raw := string(c.keys["pooling_mode"]); strings.HasPrefix(raw, "[") {
		modes, _ = get[[]string](c, "pooling_mode", "a list of strings")
	} else if mode := c.string("pooling_mode", ""); mode != "" {
		modes = []string{mode}
	}
	for _, k := range poolKeys {
		if c.bool(k.key, k.mode == "mean" && !c.has("pooling_mode") && !c.has("pooling_mode_cls_token")) && !c.has("pooling_mode") {
			modes = append(modes, k.mode)
		}
	}
	for _, mode := range modes { // joined in the list's order
		at := slices.IndexFunc(poolKeys, func(k poolKey) bool { return k.mode == mode })
		if at < 0 {
			c.unsupported("pooling_mode", "%.100q; known: cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken", mode)
			return
		}
		m.pool = append(m.pool, poolKeys[at].op)
	}
	if m.pool == nil {
		c.bad("pooling_mode", "there is none")
	}
	c.only("include_prompt", "true")
}

func (m *stModule) denseLayer(c *config) {
	m.in = c.int("in_features", -1, 1, maxWidth)
	l := plain(m.path+".linear", c.bool("bias", true))
	m.dense = &dense{linear: l, n: c.int("out_features", -1, 1, maxWidth)}
	const kinds = "torch.nn.modules.activation."
	act := c.string("activation_function", kinds+"Tanh")
	fn, ok := denseActs[strings.TrimPrefix(act, kinds)]
	if m.dense.act = fn; act != "torch.nn.modules.linear.Identity" && (!ok || !strings.HasPrefix(act, kinds)) {
		c.unsupported("activation_function", "%.100q; known: %s of %s, torch.nn.modules.linear.Identity", act, strings.Join(slices.Sorted(maps.Keys(denseActs)), ", "), strings.TrimSuffix(kinds, "."))
	}
	for _, key := range []string{"stModuleinput_name", "stModuleoutput_name", "module_input_name", "module_output_name"} {
		c.only(key, `"sentence_embedding"`)
	}
}

// denseActs are torch.nn's activations of a Dense module.
var denseActs = map[string]string{"Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "Sigmoid": "sigmoid", "SiLU": "silu", "ReLU6": "relu6", "Hardswish": "hardswish"}

// maxLength reads how many tokens sentence-transformers cuts a text to.
func maxLength(dir string) (most int, err error) {
	for _, name := range []string{"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json", "sentence_camembert_config.json", "sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json"} {
		path := filepath.Join(dir, name)
		data, err := readFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		c, err := newConfig(path, data)
		if err != nil {
			return 0, err
		}
		most = c.int("max_seq_length", 0, 0, maxPos)
		c.only("do_lower_case", "false")
		if task := c.string("transformer_task", "feature-extraction"); task != "feature-extraction" && task != "sequence-classification" {
			c.unsupported("transformer_task", "%.100q; known: feature-extraction, sequence-classification", task)
		}
		return most, c.err
	}
	return 0, nil
}

// tokenizerLength reads to how many tokens the tokenizer's config says that texts are cut; 0 if it says nothing of use.
func tokenizerLength(dir string) (int, error) {
	path := filepath.Join(dir, "tokenizer_config.json")
	data, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	c, err := newConfig(path, data)
	if err != nil {
		return 0, err
	}
	if n := c.float("model_max_length", 0, 0, math.Inf(1)); n >= 1 && n < maxPos { // a huge number says nothing
		return int(n), c.err
	}
	return 0, c.err
}

// sentenceConfig reads what becomes of a CrossEncoder's logits, and refuses what sentence-transformers would put before each text unasked.
func sentenceConfig(dir string) (activation string, err error) {
	path := filepath.Join(dir, "config_sentence_transformers.json")
	data, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	c, err := newConfig(path, data)
	if err != nil {
		return "", err
	}
	c.only("default_prompt_name", "null")
	return c.string("activation_fn", ""), c.err
}

// Modules are the folders of sentence-transformers' layers that have weights of their own: of module PATH, the tensor
// linear.weight is PATH.linear.weight of the graph.
func (m *Model) Modules() []string { return m.modules }
