"""Makes keras3_model.keras: a small model saved by Keras 3 (3.15.1, with JAX) for tests/test_weight_keras3.c, which knows its numbers.

Run in this folder: KERAS_BACKEND=jax python3 make_keras3.py

A model inside a model, layers named by Keras and by hand, layers without weights. Weight i of a tensor is i / 8 - 1.
"""
import keras
import numpy as np
from keras import layers

trunk = keras.Sequential([
    layers.Input((8, 8, 3)),
    layers.Conv2D(4, 3, use_bias=False, name="my_conv"),
    layers.BatchNormalization(scale=False, epsilon=0.002),
    layers.ReLU(),
], name="trunk")
x = image = layers.Input((8, 8, 3))
x = trunk(x)
x = layers.Conv2D(2, 1)(x)
x = layers.Conv2D(2, (1, 3))(x)
x = layers.Dropout(0.5)(x)
x = layers.GlobalAveragePooling2D()(x)
x = layers.Dense(3, activation="softmax")(x)
model = keras.Model(image, x)
model.set_weights([(np.arange(w.size).reshape(w.shape) / 8 - 1).astype("float32") for w in model.get_weights()])
model.save("keras3_model.keras")
