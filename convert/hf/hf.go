// Package hf turns a HuggingFace config.json into a graph.
//
// Load reads the configuration of a checkpoint's folder; its model_type picks
// the family, one file each (llama.go). Parsing is strict: a key that is not
// known, or a value that would change the mathematics and is not supported, is
// an error by name, never skipped (spec/checkpoint.md has the rule). Fit then
// fits the graph to what the checkpoint really contains.
//
//	m, err := hf.Load("Llama-3.2-1B")
//	ignored, err := m.Fit(tensors)
package hf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"qpt/format/graph"
)

var (
	// ErrConfig is matched by errors about a broken configuration: syntax,
	// missing keys, wrong types, contradictions, numbers out of range.
	ErrConfig = errors.New("invalid config")
	// ErrUnsupported is matched by errors about a configuration that may be
	// sound but asks for what is not implemented, unknown keys included.
	ErrUnsupported = errors.New("unsupported config")
	// ErrTensors is matched by errors of Fit.
	ErrTensors = errors.New("tensors do not match the config")
)

// Model is what a configuration describes.
type Model struct {
	Name   string // of the folder
	Type   string // model_type
	Graph  *graph.Graph
	BOS    int // token put before a text, -1 for none
	EOS    []int
	MaxPos int // longest sequence the model was made for
	Vocab  int
	Notes  []string // what a reader of the files might not expect

	TokenizerClass string // tokenizer_class, "" if the file does not say

	Quantization    []byte          // what quantized the checkpoint says of it, a JSON object; nil: nothing did
	QuantizationKey string          // of config.json, where it stands
	Turned          map[string]bool // tensors of a fitted checkpoint that are [.., N, K] where the model's own are [.., K, N]
	Labels          []string        // of a classifier
	Image           *graph.Image    // of a network on images: how pictures become its input; nil for others

	prefix    string // of the tensors of the model without its head
	older     string // in its place in older files
	tied      *tie   // nil: the head is a matrix of its own
	spare     *spare
	ignorable func(tensor string) bool
	eitherWay bool        // stacks of matrices [E, N, K] may be stored as [E, K, N]
	wrapped   bool        // tensors lie among those of a model of pictures and text
	aliases   [][2]string // ends of tensors' names, and those of older files
	modules   []string
}

// spare is a part that a checkpoint may lack: then without is the graph.
type spare struct {
	tensor  string
	without func() *graph.Graph
}

// tie is a head that is the embedding table, unless the checkpoint has two
// that differ: then apart is the graph.
type tie struct {
	table, head string
	apart       func() *graph.Graph
}

// Family is what is known of one model_type.
type Family struct {
	Type   string // model_type
	Models string // that people know it by
	Notes  string // what is special

	// build reads every key that matters from c; what it leaves unread is reported as unknown.
	build func(c *config) *Model
}

// families lists those that convert, by model_type. Each is a file.
var families = []Family{
	{"afmoe", "Arcee Trinity", "gated attention, four norms a layer, experts", afmoe},
	{"albert", "ALBERT", "encoder; layers share their weights", albert},
	{"apertus", "Apertus", "norms of q and k, xIELU", apertus},
	{"arcee", "Arcee AFM", "an MLP without gate", arcee},
	{"bert", "BERT, MiniLM, BGE, E5, GTE, Jina v2", "encoder; Jina v2: ALiBi, gated MLPs", bert},
	{"biogpt", "BioGPT", "learned positions", bioGPT},
	{"bitnet", "BitNet b1.58 (bf16)", "norms before the last layers of attention and MLP", bitNet},
	{"bloom", "BLOOM, BLOOMZ", "ALiBi, a norm of the embedding", bloom},
	{"camembert", "CamemBERT", "encoder", roberta},
	{"clip_text_model", "CLIP (text)", "encoder; a decoder that reads whole texts", clipText},
	{"clip_vision_model", "CLIP (pictures)", "images: features", clipVision},
	{"codegen", "CodeGen 1, 2", "interleaved RoPE, parallel attention and MLP", codeGen},
	{"cohere", "Command R", "parallel attention and MLP, interleaved RoPE, norms of q and k if told", cohere},
	{"cohere2", "Command R7B, Command A", "windows with RoPE, full layers without positions", cohere2},
	{"convnext", "ConvNeXt", "images: classifier", convNext},
	{"convnextv2", "ConvNeXt V2", "images: classifier", convNextV2},
	{"cwm", "CWM", "windows", cwm},
	{"data2vec-text", "data2vec (text)", "encoder", data2vecText},
	{"deberta", "DeBERTa v1", "encoder; disentangled attention", debertaV1},
	{"deberta-v2", "DeBERTa v2, v3, mDeBERTa", "encoder; disentangled attention, a convolution if told", debertaV2},
	{"deepseek_v2", "DeepSeek V2, V2-Lite, Coder V2", "latent attention, whose state is one narrow vector a position; experts and shared ones, groups", deepseekV2},
	{"deepseek_v3", "DeepSeek V3, R1 (bf16)", "latent attention; sigmoid routing with correction, groups", deepseekV3},
	{"deit", "DeiT", "images: classifier, with and without a teacher's head; features", deit},
	{"dinov2", "DINOv2", "images: classifier; features", dinoV2},
	{"distilbert", "DistilBERT", "encoder", distilbert},
	{"dots1", "dots.llm1", "experts as DeepSeek V3's, norms of q and k, windows", dots1},
	{"efficientnet", "EfficientNet B0 to B7", "images: classifier", efficientNet},
	{"electra", "ELECTRA", "encoder; narrow embeddings", electra},
	{"ernie", "ERNIE 1 to 3", "encoder", ernie},
	{"ernie4_5", "ERNIE 4.5 0.3B", "interleaved RoPE", ernie45},
	{"ernie4_5_moe", "ERNIE 4.5 21B-A3B", "interleaved RoPE, experts and shared ones", ernie45MoE},
	{"esm", "ESM-1b, ESM-2 (proteins)", "encoder; RoPE or positions, norms before", esm},
	{"eurobert", "EuroBERT", "encoder; Llama's layers", euroBERT},
	{"exaone", "EXAONE 3.0, 3.5", "", exaone},
	{"exaone_moe", "K-EXAONE", "windows, experts as DeepSeek V3's", exaoneMoE},
	{"exaone4", "EXAONE 4", "norms after, norms of q and k, windows", exaone4},
	{"falcon", "Falcon 7B, 11B, 40B, 180B, RW", "one key head, or fused per key head; ALiBi (RW)", falcon},
	{"flex_olmo", "FlexOlmo", "norms after, experts", flexOlmo},
	{"gemma", "Gemma, CodeGemma", "", gemma1},
	{"gemma2", "Gemma 2", "soft caps, windows, four norms a layer", gemma2},
	{"gemma3_text", "Gemma 3 (text)", "two RoPE bases, windows, norms of q and k", gemma3},
	{"gemma4_text", "Gemma 4 (text)", "keys and values of earlier layers, an embedding for each layer, experts if told", gemma4},
	{"glm", "GLM-4 9B", "half of each head turns, interleaved", glm},
	{"glm4", "GLM-4-0414", "four norms a layer", glm4},
	{"glm4_moe", "GLM-4.5, 4.6, 4.7", "experts as DeepSeek V3's, half of each head turns", glm4MoE},
	{"glm4_moe_lite", "GLM-4.7 Flash", "latent attention, experts as DeepSeek V3's", glm4MoELite},
	{"gpt2", "GPT-2, DistilGPT-2", "learned positions, matrices stored as [K, N]", gpt2},
	{"gpt_bigcode", "StarCoder, SantaCoder", "learned positions, one key head", gptBigCode},
	{"gpt_neo", "GPT-Neo, TinyStories", "learned positions, windows", gptNeo},
	{"gpt_neox", "GPT-NeoX, Pythia", "fused per head, parallel residual", gptNeoX},
	{"gpt_oss", "gpt-oss", "attention sinks, experts with clamped gates, windows", gptOSS},
	{"gptj", "GPT-J", "interleaved RoPE, parallel attention and MLP", gptj},
	{"granite", "Granite 3", "multipliers", granite},
	{"granitemoe", "Granite 3 MoE", "experts in stacks", graniteMoE},
	{"granitemoehybrid", "Granite 4 without Mamba", "micro, 1B, 350M: experts and positions if told", graniteHybrid},
	{"granitemoeshared", "Granite 3 MoE shared", "experts in stacks and a shared MLP", graniteMoEShared},
	{"gte", "GTE multilingual, Snowflake Arctic Embed M 2.0", "encoder; RoPE, gated MLPs", gte},
	{"helium", "Helium 1", "interleaved RoPE", helium},
	{"hunyuan_v1_dense", "Hunyuan 0.5B to 7B", "norms of q and k behind the rotation", hunyuanDense},
	{"hunyuan_v1_moe", "Hunyuan A13B", "experts and a shared one", hunyuanMoE},
	{"hy_v3", "Hunyuan 3", "norms of q and k, experts as DeepSeek V3's", hunyuan3},
	{"hyperclovax", "HyperCLOVA X SEED Think", "multipliers, norms before and after", hyperCLOVAX},
	{"internlm3", "InternLM 3", "", internLM3},
	{"iquestcoder", "IQuest Coder", "Llama", iQuestCoder},
	{"jais2", "Jais 2", "layer norms, an MLP without gate", jais2},
	{"jina_embeddings_v3", "Jina v3 (merged)", "encoder; RoPE", jinaV3},
	{"laguna", "Laguna", "gated attention, layers of different heads, experts", laguna},
	{"layoutlm", "LayoutLM, of text alone", "encoder", layoutLM},
	{"llama", "Llama 1 to 3.3 and copies", "RoPE default, linear, dynamic, llama3, yarn, longrope", llama},
	{"longformer", "Longformer, without global tokens", "encoder; windows", longformer},
	{"megatron-bert", "Megatron BERT", "encoder; norms before", megatronBERT},
	{"mellum", "Mellum 2", "Qwen 3 MoE with windows", mellum},
	{"minicpm3", "MiniCPM 3", "latent attention, multipliers", miniCPM3},
	{"minimax_m2", "MiniMax M2", "norms of the whole q and k, experts", miniMaxM2},
	{"ministral", "Ministral 8B", "windows of some layers", ministral},
	{"ministral3", "Ministral 3", "yarn; up to 16,384 positions", ministral3},
	{"mistral", "Mistral", "windows", mistral},
	{"mixtral", "Mixtral", "experts", mixtral},
	{"mobilebert", "MobileBERT", "encoder; layers within a bottleneck, several MLPs each", mobileBERT},
	{"mobilenet_v1", "MobileNet V1", "images: classifier", mobileNetV1},
	{"mobilenet_v2", "MobileNet V2", "images: classifier", mobileNetV2},
	{"modernbert", "ModernBERT, GTE-ModernBERT", "encoder; windows on both sides, two RoPE bases", modernBERT},
	{"modernbert-decoder", "Ettin (decoders)", "windows, two RoPE bases, a layer before the head", modernBERTDecoder},
	{"mpnet", "MPNet, all-mpnet-base-v2", "encoder; a bias of distances", mpnet},
	{"mpt", "MPT", "ALiBi, norms without biases", mpt},
	{"nemotron", "Nemotron-4, Minitron", "layer norms times 1 + weight, an MLP without gate", nemotron},
	{"new", "GTE v1.5 (NewModel)", "encoder; as gte", gte},
	{"nomic_bert", "Nomic Embed", "encoder; RoPE, gated MLPs, no biases", nomicBERT},
	{"olmo", "OLMo", "norms without weights, clipped q, k, v", olmo},
	{"olmo2", "OLMo 2", "norms after, norms of the whole q and k", olmo2},
	{"olmo3", "OLMo 3", "norms after, norms of the whole q and k, windows, two RoPEs", olmo3},
	{"olmoe", "OLMoE", "experts", olmoe},
	{"openai-gpt", "GPT (2018)", "learned positions, norms after", openAIGPT},
	{"opt", "OPT, Galactica", "learned positions; norms before or after", opt},
	{"persimmon", "Persimmon", "norms of q and k, half of each head turns", persimmon},
	{"phi", "Phi-1, 1.5, 2", "parallel attention and MLP, partial RoPE", phi},
	{"phi3", "Phi-3, 3.5, Phi-4", "fused projections, longrope, windows", phi3},
	{"phimoe", "Phi 3.5 MoE, Phi mini and tiny MoE", "two experts, each with a weight of its own; layer norms", phiMoE},
	{"qwen2", "Qwen 1.5, 2, 2.5", "biases on q, k, v; windows if told", qwen2},
	{"qwen2_5_vl_text", "Qwen 2.5 VL (text)", "biases on q, k, v", qwen2VL},
	{"qwen2_moe", "Qwen 1.5 and 2 MoE", "experts and a shared one behind a gate", qwen2MoE},
	{"qwen2_vl_text", "Qwen 2 VL (text)", "biases on q, k, v", qwen2VL},
	{"qwen3", "Qwen 3", "norms of q and k", qwen3},
	{"qwen3_moe", "Qwen 3 MoE", "experts", qwen3MoE},
	{"qwen3_vl_moe_text", "Qwen 3 VL MoE (text)", "experts in stacks", qwen3VLMoE},
	{"qwen3_vl_text", "Qwen 3 VL (text)", "norms of q and k", qwen3VL},
	{"regnet", "RegNet X, Y", "images: classifier", regNet},
	{"rembert", "RemBERT", "encoder; narrow embeddings", remBERT},
	{"resnet", "ResNet 18 to 152", "images: classifier; other stems too", resnet},
	{"roberta", "RoBERTa", "encoder", roberta},
	{"roberta-prelayernorm", "RoBERTa PreLayerNorm", "encoder; norms before (Efficient MLM)", robertaPreLayerNorm},
	{"roformer", "RoFormer", "encoder; interleaved RoPE", roFormer},
	{"seed_oss", "Seed-OSS 36B", "biases on q, k, v", seedOSS},
	{"siglip_vision_model", "SigLIP, SigLIP 2 of one size (pictures)", "images: features", siglipVision},
	{"smollm3", "SmolLM 3", "every fourth layer without positions", smolLM3},
	{"solar_open", "Solar Open", "experts as DeepSeek V3's", solarOpen},
	{"squeezenet", "SqueezeNet 1.0, 1.1", "images: classifier under torchvision's names", squeezeNet},
	{"stablelm", "StableLM 2", "partial RoPE, norms of each head if told", stableLM},
	{"starcoder2", "StarCoder 2", "windows", starcoder2},
	{"vaultgemma", "VaultGemma", "soft caps, windows", vaultGemma},
	{"vit", "ViT", "images: classifier; features", vit},
	{"xlm-roberta", "XLM-RoBERTa, multilingual E5, BGE-M3", "encoder", roberta},
	{"xlm-roberta-xl", "XLM-RoBERTa XL, XXL", "encoder; norms before", xlmRobertaXL},
	{"youtu", "Youtu LLM 2B", "latent attention", youtu},
}

// Families lists the families that convert, by model_type.
func Families() []Family { return slices.Clone(families) }

// maxConfig bounds config.json and generation_config.json.
const maxConfig = 1 << 20

// Load reads config.json and, if there is one, generation_config.json of a folder.
func Load(dir string) (*Model, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	genPath := filepath.Join(dir, "generation_config.json")
	gen, err := readFile(genPath)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	image, err := readFile(filepath.Join(dir, "preprocessor_config.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	m, err := parse(dir, "", data, gen, image)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	m.Name = filepath.Base(abs)
	return m, nil
}

func readFile(path string) ([]byte, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() { // opening a pipe would wait for ever
		return nil, fmt.Errorf("%s: %w: not a regular file", path, ErrConfig)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("%s: %w: more than %d bytes", path, ErrConfig, maxConfig)
	}
	return data, err
}

// Parse is Load on the bytes of the two files; generation may be nil.
func Parse(data, generation []byte) (*Model, error) { return parse("", "", data, generation, nil) }

// ParsePooled is Parse of a model that makes an embedding of each text by pool, of graph.SequencePool; "": as Parse has it.
func ParsePooled(data []byte, pool string) (*Model, error) { return parse("", pool, data, nil, nil) }

// parse is Parse for a folder, which may hold more about an encoder, with preprocessor_config.json, which only families on images look at.
func parse(dir, pool string, data, generation, image []byte) (*Model, error) {
	c, err := newConfig("config.json", data)
	if err != nil {
		return nil, err
	}
	c.preprocessor = image
	c.dir, c.pool = dir, pool
	kind := c.string("model_type", "")
	_, wrapped := wrappers[kind]
	if v := c.tower(kind); v != nil {
		c, kind, wrapped = v, towers[kind], false
	} else if wrapped && c.err == nil {
		c, kind = c.unwrap(kind)
	}
	at := slices.IndexFunc(families, func(f Family) bool { return f.Type == kind })
	if why := outside[kind]; at < 0 && why != "" {
		c.unsupported("model_type", "%q: %s; qconv families lists what converts", kind, why)
	} else if at < 0 && kind == "" {
		c.unsupported("model_type", "is missing: it says what model this is; qconv families lists what converts")
	} else if at < 0 {
		c.unsupported("model_type", "%q; qconv families lists what converts", kind)
	}
	if c.err != nil {
		return nil, c.err
	}
	m := families[at].build(c)
	quantization, key := c.quantization()
	if c.finish(); c.err != nil {
		return nil, c.err
	}
	m.wrapped = wrapped
	m.Type, m.Notes, m.TokenizerClass = kind, c.notes, c.string("tokenizer_class", "")
	m.Quantization, m.QuantizationKey = quantization, key
	if generation == nil {
		return m, nil
	}
	g, err := newConfig("generation_config.json", generation)
	if err != nil {
		return nil, err
	}
	m.generation(g)
	m.Notes = append(m.Notes, g.notes...)
	return m, g.err
}
