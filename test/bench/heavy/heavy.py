"""What a grown bot imports at its start. The bench adds this file to the sample bot."""
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot  # noqa: E402, F401
import pandas  # noqa: E402, F401
import sqlalchemy.orm  # noqa: E402, F401
import aiogram  # noqa: E402, F401
from PIL import Image  # noqa: E402, F401
