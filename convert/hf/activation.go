package hf

// activation maps a name of transformers to the unary op of the same meaning, or one of composed.
func activation(c *config, key, name string) string {
	switch name {
	case "silu", "swish":
		return "silu"
	case "gelu", "relu", "relu2", "relu6", "tanh", "sigmoid", "quick_gelu", "hardswish":
		return name
	case "gelu_python":
		return "gelu"
	case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python_tanh", "gelu_accurate":
		return "gelu_tanh"
	}
	if composed[name] != nil || name == "xielu" && c.keys["model_type"] != nil && string(c.keys["model_type"]) == `"apertus"` {
		return name
	}
	c.unsupported(key, "%q; known: silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_10, relu, relu2, relu6, leaky_relu, tanh, sigmoid, quick_gelu, hardswish, mish, laplace, linear", name)
	return "silu"
}

// composed are activations of several ops; the last one has the name.
var composed = map[string]func(b *builder, name, x string) string{
	"linear": func(b *builder, name, x string) string { return b.Scalar(name, "mul", x, 1) },
	"leaky_relu": func(b *builder, name, x string) string {
		return b.Binary(name, "max", x, b.Scalar(name+".leak", "mul", x, 0.01))
	},
	"gelu_10": func(b *builder, name, x string) string {
		return b.Scalar(name, "max", b.Scalar(name+".most", "min", b.op(name+".gelu", "gelu", x), 10), -10)
	},
	"laplace": func(b *builder, name, x string) string { // (1 + erf((x - mu) / (sigma sqrt 2))) / 2
		x = b.Scalar(name+".z", "div", b.Scalar(name+".from", "add", x, -0.707107), 0.282095*1.4142135623730951)
		return b.Scalar(name, "mul", b.Scalar(name+".above", "add", b.op(name+".erf", "erf", x), 1), 0.5)
	},
	"softplus": func(b *builder, name, x string) string { // max(x, 0) + log(1 + exp(-|x|))
		e := b.op(name+".exp", "exp", b.op(name+".neg", "neg", b.op(name+".abs", "abs", x)))
		return b.Binary(name, "add", b.op(name+".relu", "relu", x), b.op(name+".log", "log", b.Scalar(name+".one", "add", e, 1)))
	},
	"mish": func(b *builder, name, x string) string { // x tanh(log(1 + e)) = x t/(t+2), t = e(e+2), e = exp(x); from 20 on x itself
		e := b.op(name+".exp", "exp", b.Scalar(name+".most", "min", x, 20))
		t := b.Binary(name+".t", "mul", e, b.Scalar(name+".two", "add", e, 2))
		return b.Binary(name, "mul", x, b.Binary(name+".share", "div", t, b.Scalar(name+".all", "add", t, 2)))
	},
}
